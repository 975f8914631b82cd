import { Decrypt, Encrypt } from '@keyfleet/shared/api/cipher';
import { CreateKey, DescribeKey, DisableKey, EnableKey } from '@keyfleet/shared/api/keys';
import { FakeFrontend, region, user } from '@keyfleet/test-support/fakes/frontend';
import { ConflictError } from '../store/store.ts';
import { beforeEach, expect, test } from 'vitest';

let frontend: FakeFrontend;
let keyId: string;
let arn: string;
beforeEach(async () => {
  frontend = new FakeFrontend();
  const { KeyMetadata } = await frontend.call(CreateKey, {});
  keyId = KeyMetadata?.KeyId ?? '';
  arn = KeyMetadata?.Arn ?? '';
});

async function setState(state: 'PendingDeletion' | 'PendingImport' | 'Creating'): Promise<void> {
  const key = await frontend.store.findKey(region, keyId);
  if (key) await frontend.store.updateKey({ ...key, state });
}

test('a disabled key is not used until it is enabled again', async () => {
  const { CiphertextBlob } = await frontend.call(Encrypt, { KeyId: keyId, Plaintext: Buffer.of(1) });
  expect(await frontend.call(DisableKey, { KeyId: keyId })).toBeUndefined();
  expect((await frontend.call(DescribeKey, { KeyId: keyId })).KeyMetadata).toMatchObject({
    Enabled: false,
    KeyState: 'Disabled',
  });
  expect(await frontend.refusal(Decrypt, { CiphertextBlob })).toBe(`DisabledException: ${arn} is disabled.`);

  expect(await frontend.call(EnableKey, { KeyId: arn })).toBeUndefined();
  expect((await frontend.call(DescribeKey, { KeyId: keyId })).KeyMetadata).toMatchObject({
    Enabled: true,
    KeyState: 'Enabled',
  });
  expect((await frontend.call(Decrypt, { CiphertextBlob })).Plaintext).toEqual(Buffer.of(1));
});

test('disabling or enabling a key twice is as good as once', async () => {
  for (const operation of [DisableKey, DisableKey, EnableKey, EnableKey]) {
    await frontend.call(operation, { KeyId: keyId });
  }
  expect((await frontend.call(DescribeKey, { KeyId: keyId })).KeyMetadata?.KeyState).toBe('Enabled');
});

test('workers forget all the material of a key that is disabled, and of no other', async () => {
  const key = await frontend.store.findKey(region, keyId);
  const first = key!.backingKeys[0]!;
  const second = { ...first, materialId: 'cd'.repeat(32) };
  await frontend.store.updateKey({ ...key!, backingKeys: [first, second] });
  await frontend.call(DisableKey, { KeyId: keyId });
  expect(frontend.hsm.evicted).toEqual([first.materialId, second.materialId]);
  await frontend.call(EnableKey, { KeyId: keyId });
  expect(frontend.hsm.evicted).toHaveLength(2);
});

test('both are audited as changes of the key', async () => {
  for (const operation of [DisableKey, EnableKey]) {
    await frontend.call(operation, { KeyId: keyId });
    expect(frontend.lastAudit).toMatchObject({
      eventName: operation.name,
      readOnly: false,
      requestParameters: { keyId },
      responseElements: { keyId: arn },
      resources: [{ ARN: arn, type: 'AWS::KMS::Key' }],
    });
  }
});

test.each([
  ['PendingDeletion', 'is pending deletion.'],
  ['PendingImport', 'is pending import.'],
  ['Creating', 'is creating.'],
] as const)('a key that is %s is neither enabled nor disabled', async (state, end) => {
  await setState(state);
  for (const operation of [DisableKey, EnableKey]) {
    expect(await frontend.refusal(operation, { KeyId: keyId })).toBe(`KMSInvalidStateException: ${arn} ${end}`);
    expect(frontend.lastAudit).toMatchObject({ errorCode: 'KMSInvalidStateException', responseElements: null });
  }
  expect(frontend.hsm.evicted).toEqual([]);
});

test('only who may, and only by id or ARN', async () => {
  const caller = user('mallory', { policies: [] });
  expect(await frontend.refusal(DisableKey, { KeyId: keyId }, { caller })).toMatch(/^AccessDeniedException/);
  expect(await frontend.refusal(DisableKey, { KeyId: 'alias/a' })).toBe(
    'InvalidArnException: Key Aliases are not supported for this operation.',
  );
});

test('a caller who is always overtaken is told to try again when the time is up', async () => {
  frontend.store.updateKey = async () => {
    frontend.now += 1_000;
    throw new ConflictError('somebody was faster');
  };
  expect(await frontend.refusal(DisableKey, { KeyId: keyId })).toMatch(/^DependencyTimeoutException/);
  expect(frontend.faults).toEqual([]);
});

test('a caller who was overtaken by a policy that forbids it is refused', async () => {
  const updateKey = frontend.store.updateKey.bind(frontend.store);
  const policy = JSON.stringify({
    Statement: { Effect: 'Deny', Principal: '*', Action: 'kms:Disable*', Resource: '*' },
  });
  frontend.store.updateKey = async (key) => {
    frontend.store.updateKey = updateKey;
    const stored = await frontend.store.findKey(region, keyId);
    await updateKey({ ...stored!, policy });
    return updateKey(key);
  };
  expect(await frontend.refusal(DisableKey, { KeyId: keyId })).toMatch(/^AccessDeniedException/);
  expect((await frontend.store.findKey(region, keyId))?.state).toBe('Enabled');
});

test('the later of two who change a key at once decides on what the earlier one wrote', async () => {
  const updateKey = frontend.store.updateKey.bind(frontend.store);
  let raced = false;
  frontend.store.updateKey = async (key) => {
    if (!raced) {
      raced = true;
      await setState('PendingDeletion');
    }
    return updateKey(key);
  };
  expect(await frontend.refusal(EnableKey, { KeyId: keyId })).toBe(
    `KMSInvalidStateException: ${arn} is pending deletion.`,
  );
  expect((await frontend.store.findKey(region, keyId))?.state).toBe('PendingDeletion');
});
