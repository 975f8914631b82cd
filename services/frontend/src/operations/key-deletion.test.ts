import { Decrypt, Encrypt } from '@keyfleet/shared/api/cipher';
import { CancelKeyDeletion, CreateKey, DescribeKey, ScheduleKeyDeletion } from '@keyfleet/shared/api/keys';
import { FakeFrontend } from '@keyfleet/test-support/fakes/frontend';
import { beforeEach, expect, test } from 'vitest';

const DAY = 86_400_000;

let frontend: FakeFrontend;
let key: { KeyId: string; Arn: string };
beforeEach(async () => {
  frontend = new FakeFrontend();
  key = await newKey();
});

async function newKey(request: object = {}): Promise<{ KeyId: string; Arn: string }> {
  const { KeyMetadata } = await frontend.call(CreateKey, request);
  return { KeyId: KeyMetadata?.KeyId ?? '', Arn: KeyMetadata?.Arn ?? '' };
}

async function stateOf({ KeyId }: { KeyId: string }) {
  const { KeyMetadata } = await frontend.call(DescribeKey, { KeyId });
  return KeyMetadata && { KeyState: KeyMetadata.KeyState, DeletionDate: KeyMetadata.DeletionDate };
}

test('a key waits for its deletion and is of no use meanwhile', async () => {
  const { CiphertextBlob } = await frontend.call(Encrypt, { ...key, Plaintext: Buffer.of(1) });
  const DeletionDate = frontend.now + 7 * DAY;
  expect(await frontend.call(ScheduleKeyDeletion, { ...key, PendingWindowInDays: 7 })).toEqual({
    KeyId: key.Arn,
    DeletionDate,
    KeyState: 'PendingDeletion',
    PendingWindowInDays: 7,
  });
  expect(frontend.lastAudit).toMatchObject({
    eventName: 'ScheduleKeyDeletion',
    readOnly: false,
    requestParameters: { keyId: key.KeyId, pendingWindowInDays: 7 },
    responseElements: { keyId: key.Arn, keyState: 'PendingDeletion', deletionDate: expect.any(String) },
  });
  expect(await stateOf(key)).toEqual({ KeyState: 'PendingDeletion', DeletionDate });
  const pending = `KMSInvalidStateException: ${key.Arn} is pending deletion.`;
  expect(await frontend.refusal(Encrypt, { ...key, Plaintext: Buffer.of(1) })).toBe(pending);
  expect(await frontend.refusal(Decrypt, { CiphertextBlob })).toBe(pending);
  expect(await frontend.refusal(ScheduleKeyDeletion, key)).toBe(pending);
});

test('thirty days are the default, and workers forget the key at once', async () => {
  const { KeyMetadata } = await frontend.call(DescribeKey, key);
  const answer = await frontend.call(ScheduleKeyDeletion, key);
  expect(answer).toMatchObject({ PendingWindowInDays: 30, DeletionDate: frontend.now + 30 * DAY });
  expect(frontend.hsm.evicted).toEqual([KeyMetadata?.CurrentKeyMaterialId]);
});

test.each([1, 6, 31, 365])('%i days are no waiting period', async (days) => {
  expect(await frontend.refusal(ScheduleKeyDeletion, { ...key, PendingWindowInDays: days })).toBe(
    `ValidationException: PendingWindowInDays should be between 7 and 30, but it is ${days}`,
  );
  expect(await stateOf(key)).toMatchObject({ KeyState: 'Enabled' });
});

test('a cancelled deletion leaves the key disabled, whatever it was', async () => {
  await frontend.call(ScheduleKeyDeletion, key);
  expect(await frontend.call(CancelKeyDeletion, key)).toEqual({ KeyId: key.Arn });
  expect(frontend.lastAudit).toMatchObject({
    eventName: 'CancelKeyDeletion',
    requestParameters: { keyId: key.KeyId },
    responseElements: { keyId: key.Arn },
  });
  expect(await stateOf(key)).toEqual({ KeyState: 'Disabled', DeletionDate: undefined });
  expect(await frontend.refusal(CancelKeyDeletion, key)).toBe(
    `KMSInvalidStateException: ${key.Arn} is not pending deletion.`,
  );
  await frontend.call(ScheduleKeyDeletion, key);
  expect(await stateOf(key)).toMatchObject({ KeyState: 'PendingDeletion' });
});

test('a key that never had material goes back to waiting for it', async () => {
  const imported = await newKey({ Origin: 'EXTERNAL' });
  await frontend.call(ScheduleKeyDeletion, imported);
  await frontend.call(CancelKeyDeletion, imported);
  expect(await stateOf(imported)).toEqual({ KeyState: 'PendingImport', DeletionDate: undefined });
});

test('one of two who schedule at once is told that the key is already pending', async () => {
  const asked = [7, 30].map((days) => frontend.call(ScheduleKeyDeletion, { ...key, PendingWindowInDays: days }));
  const answers = await Promise.allSettled(asked);
  const [won, ...others] = answers.filter(({ status }) => status === 'fulfilled');
  expect(others).toEqual([]);
  const state = await stateOf(key);
  expect(won).toMatchObject({ value: { DeletionDate: state?.DeletionDate } });
});
