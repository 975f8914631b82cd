import { Decrypt, Encrypt, ReEncrypt } from '@keyfleet/shared/api/cipher';
import { CreateKey, DescribeKey, ScheduleKeyDeletion } from '@keyfleet/shared/api/keys';
import {
  DisableKeyRotation,
  EnableKeyRotation,
  GetKeyRotationStatus,
  ListKeyRotations,
  RotateKeyOnDemand,
} from '@keyfleet/shared/api/rotation';
import type { DomainState } from '@keyfleet/shared/domain/state';
import { parseBlobHeader } from '@keyfleet/shared/hsm/ciphertext-blob';
import { testDomainKey } from '@keyfleet/test-support/command-context';
import { FakeFrontend, region, user } from '@keyfleet/test-support/fakes/frontend';
import { LocalHsm } from '@keyfleet/test-support/fakes/local-hsm';
import { beforeEach, describe, expect, test } from 'vitest';
import { HsmClient } from '../hsm/client.ts';
import type { KmsKey } from '../keys/kms-key.ts';

const DAY = 86_400_000;

/** Two members of a domain. The first makes one key, and answers with that one whenever it is to make another. */
class OneThatRepeats {
  readonly #hsm = new LocalHsm();
  #first: object | undefined;

  client(): HsmClient {
    const members = ['a', 'b'].map((memberId) => ({ memberId, offline: false }));
    const domainKeys = [{ id: testDomainKey('1').id, status: 'active' }];
    return new HsmClient({
      hsm: {
        execute: (name, input) => this.#hsm.execute(name, input),
        executeEverywhere: async () => {},
        executeByMember: async (name, input, _deadline, notBy) => {
          const memberId = notBy?.has('a') ? 'b' : 'a';
          const output = await this.#hsm.execute(name, input);
          if (name !== 'GenerateBackingKey' || memberId === 'b') return { memberId, output };
          this.#first ??= output;
          return { memberId, output: this.#first as typeof output };
        },
        connects: async () => false,
      },
      domainState: () => ({ members, domainKeys }) as unknown as DomainState,
      isDomainOfOne: () => false,
      refreshDomain: async () => {},
      clock: { now: () => 0 },
      workers: 2,
      events: { confirmed() {}, contradicted() {}, unconfirmed() {} },
    });
  }
}

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

async function change(keyId: string, members: Partial<KmsKey>): Promise<void> {
  const stored = await frontend.store.findKey(region, keyId);
  if (stored) await frontend.store.updateKey({ ...stored, ...members });
}

async function materialIds(): Promise<string[]> {
  const { Rotations = [] } = await frontend.call(ListKeyRotations, { ...key, IncludeKeyMaterial: 'ALL_KEY_MATERIAL' });
  return Rotations.map(({ KeyMaterialId }) => KeyMaterialId ?? '');
}

const kinds = {
  hmac: { KeySpec: 'HMAC_256', KeyUsage: 'GENERATE_VERIFY_MAC' },
  rsa: { KeySpec: 'RSA_2048', KeyUsage: 'SIGN_VERIFY' },
};

describe('automatic rotation', () => {
  test('is off at first, then on for a year, and off again', async () => {
    const { Arn: KeyId } = key;
    expect(await frontend.call(GetKeyRotationStatus, key)).toEqual({ KeyId, KeyRotationEnabled: false });
    expect(await frontend.call(EnableKeyRotation, key)).toBeUndefined();
    expect(await frontend.call(GetKeyRotationStatus, key)).toEqual({
      KeyId,
      KeyRotationEnabled: true,
      RotationPeriodInDays: 365,
      NextRotationDate: frontend.now + 365 * DAY,
    });
    await frontend.call(DisableKeyRotation, key);
    expect(frontend.lastAudit).toMatchObject({
      eventName: 'DisableKeyRotation',
      readOnly: false,
      requestParameters: { keyId: key.KeyId },
      responseElements: { keyId: key.Arn },
      resources: [{ ARN: key.Arn }],
    });
    expect(await frontend.call(GetKeyRotationStatus, key)).toEqual({ KeyId, KeyRotationEnabled: false });
    expect(frontend.lastAudit).toMatchObject({ eventName: 'GetKeyRotationStatus', readOnly: true });
  });

  test('a new period counts from now; enabling it again as it is does not put the rotation off', async () => {
    await frontend.call(EnableKeyRotation, { ...key, RotationPeriodInDays: 90 });
    const first = frontend.now + 90 * DAY;
    frontend.now += 30 * DAY;
    await frontend.call(EnableKeyRotation, { ...key, RotationPeriodInDays: 90 });
    expect(await frontend.call(GetKeyRotationStatus, key)).toMatchObject({ NextRotationDate: first });
    await frontend.call(EnableKeyRotation, { ...key, RotationPeriodInDays: 180 });
    expect(frontend.lastAudit).toMatchObject({ requestParameters: { rotationPeriodInDays: 180 } });
    expect(await frontend.call(GetKeyRotationStatus, key)).toMatchObject({
      RotationPeriodInDays: 180,
      NextRotationDate: frontend.now + 180 * DAY,
    });
  });

  test('its status is that of before while the key is disabled, and off while the key waits for its deletion', async () => {
    await frontend.call(EnableKeyRotation, key);
    await change(key.KeyId, { state: 'Disabled' });
    expect(await frontend.call(GetKeyRotationStatus, key)).toMatchObject({ KeyRotationEnabled: true });
    await frontend.call(ScheduleKeyDeletion, key);
    expect(await frontend.call(GetKeyRotationStatus, key)).toEqual({ KeyId: key.Arn, KeyRotationEnabled: false });
  });

  test.each(Object.values(kinds))('is not for a key of another kind, and its status is off: %j', async (kind) => {
    const other = await newKey(kind);
    expect(await frontend.refusal(EnableKeyRotation, other)).toBe('UnsupportedOperationException');
    expect(await frontend.call(DisableKeyRotation, other)).toBeUndefined();
    expect(await frontend.call(GetKeyRotationStatus, other)).toEqual({ KeyId: other.Arn, KeyRotationEnabled: false });
  });

  test('is not for material that is imported', async () => {
    const imported = await newKey({ Origin: 'EXTERNAL' });
    const text = `UnsupportedOperationException: ${imported.Arn} origin is EXTERNAL which is not valid for this operation.`;
    for (const operation of [EnableKeyRotation, DisableKeyRotation, GetKeyRotationStatus]) {
      expect(await frontend.refusal(operation, imported)).toBe(text);
    }
  });
});

describe('rotation on demand', () => {
  test('makes new material current, answers the ARN, and leaves the schedule alone', async () => {
    await frontend.call(EnableKeyRotation, key);
    const before = await frontend.call(GetKeyRotationStatus, key);
    const [old] = await materialIds();
    expect(await frontend.call(RotateKeyOnDemand, key)).toEqual({ KeyId: key.Arn });
    expect(frontend.lastAudit).toMatchObject({
      eventName: 'RotateKeyOnDemand',
      eventType: 'AwsApiCall',
      responseElements: { keyId: key.Arn },
    });
    const [first, second] = await materialIds();
    expect(first).toBe(old);
    const { KeyMetadata } = await frontend.call(DescribeKey, key);
    expect(KeyMetadata?.CurrentKeyMaterialId).toBe(second);
    expect(await frontend.call(GetKeyRotationStatus, key)).toEqual(before);
    expect(frontend.hsm.evicted).toEqual([old]);
  });

  test('gets no material that the key has, from a member that seals that again', async () => {
    const two = new FakeFrontend(new OneThatRepeats().client());
    const { KeyMetadata } = await two.call(CreateKey, {});
    for (let i = 0; i < 2; i++) await two.call(RotateKeyOnDemand, { KeyId: KeyMetadata?.KeyId });
    const { backingKeys } = (await two.store.findKey(region, KeyMetadata!.KeyId))!;
    expect(new Set(backingKeys.map(({ materialId }) => materialId)).size).toBe(3);
  });

  test('is recorded as an event of the service besides the call', async () => {
    await frontend.call(RotateKeyOnDemand, key);
    const [previousKeyMaterialId, currentKeyMaterialId] = await materialIds();
    const [event] = frontend.serviceEvents;
    expect(event).toMatchObject({
      eventName: 'RotateKey',
      eventType: 'AwsServiceEvent',
      userIdentity: { invokedBy: 'AWS Internal' },
      awsRegion: region,
      requestParameters: null,
      resources: [{ type: 'AWS::KMS::Key', ARN: key.Arn }],
      serviceEventDetails: {
        keyId: key.KeyId,
        keyOrigin: 'AWS_KMS',
        rotationType: 'ON_DEMAND',
        previousKeyMaterialId,
        currentKeyMaterialId,
      },
    });
    expect(event).not.toHaveProperty('requestID');
  });

  test('may be done 25 times in a key’s life', async () => {
    for (let i = 0; i < 25; i++) await frontend.call(RotateKeyOnDemand, key);
    const commands = frontend.hsm.executed.length;
    expect(await frontend.refusal(RotateKeyOnDemand, key)).toBe(
      `LimitExceededException: The on-demand rotations limit has been reached for the given keyId. No more on-demand rotations can be performed for this key: ${key.Arn}`,
    );
    expect(frontend.hsm.executed).toHaveLength(commands);
    expect(await materialIds()).toHaveLength(26);
  });

  test('ten at once are all made, one after the other', async () => {
    await Promise.all(Array.from({ length: 10 }, () => frontend.call(RotateKeyOnDemand, key)));
    expect(new Set(await materialIds()).size).toBe(11);
  });

  test('waits while an automatic one is under way or comes within 20 minutes', async () => {
    await frontend.call(EnableKeyRotation, key);
    frontend.now += 365 * DAY - 20 * 60_000 - 1;
    await frontend.call(RotateKeyOnDemand, key);
    frontend.now += 1;
    const conflict =
      'ConflictException: An automatic rotation of this key is currently in progress or scheduled to begin within the next 20 minutes.';
    expect(await frontend.refusal(RotateKeyOnDemand, key)).toBe(conflict);
    frontend.now += DAY;
    expect(await frontend.refusal(RotateKeyOnDemand, key)).toBe(conflict);
  });

  test('state comes before kind, and the kind has no message', async () => {
    const imported = await newKey({ Origin: 'EXTERNAL', KeySpec: 'RSA_2048', KeyUsage: 'SIGN_VERIFY' });
    expect(await frontend.refusal(RotateKeyOnDemand, imported)).toBe(
      `KMSInvalidStateException: ${imported.Arn} is pending import.`,
    );
    for (const kind of Object.values(kinds)) {
      expect(await frontend.refusal(RotateKeyOnDemand, await newKey(kind))).toBe('UnsupportedOperationException');
    }
    await change(key.KeyId, { state: 'Disabled' });
    expect(await frontend.refusal(RotateKeyOnDemand, key)).toBe(`DisabledException: ${key.Arn} is disabled.`);
  });

  test('needs its own permission', async () => {
    const caller = user('mallory', { policies: [] });
    expect(await frontend.refusal(RotateKeyOnDemand, key, { caller })).toMatch(/^AccessDeniedException/);
  });
});

describe('a list of rotations', () => {
  test('has what was rotated to, and on demand the first material too', async () => {
    expect(await frontend.call(ListKeyRotations, key)).toEqual({ Rotations: [], Truncated: false });
    frontend.now += DAY;
    await frontend.call(RotateKeyOnDemand, key);
    const [first, second] = await materialIds();
    const rotation = {
      KeyId: key.KeyId,
      KeyMaterialId: second,
      KeyMaterialState: 'CURRENT',
      RotationDate: frontend.now,
      RotationType: 'ON_DEMAND',
    };
    expect(await frontend.call(ListKeyRotations, key)).toEqual({ Rotations: [rotation], Truncated: false });
    expect(frontend.lastAudit).toMatchObject({ eventName: 'ListKeyRotations', readOnly: true });
    const all = await frontend.call(ListKeyRotations, { ...key, IncludeKeyMaterial: 'ALL_KEY_MATERIAL' });
    const original = { KeyId: key.KeyId, KeyMaterialId: first, KeyMaterialState: 'NON_CURRENT' };
    expect(all).toEqual({ Rotations: [original, rotation], Truncated: false });
  });

  test('continues where a page ended, for the same list only', async () => {
    for (let i = 0; i < 4; i++) await frontend.call(RotateKeyOnDemand, key);
    const first = await frontend.call(ListKeyRotations, { ...key, Limit: 2 });
    expect([first.Rotations?.length, first.Truncated]).toEqual([2, true]);
    const Marker = first.NextMarker;
    const second = await frontend.call(ListKeyRotations, { ...key, Limit: 2, Marker });
    expect([second.Rotations?.length, second.Truncated, second.NextMarker]).toEqual([2, false, undefined]);
    const ids = [...(first.Rotations ?? []), ...(second.Rotations ?? [])].map(({ KeyMaterialId }) => KeyMaterialId);
    expect(ids).toEqual((await materialIds()).slice(1));

    const other = await newKey();
    const invalid = 'InvalidMarkerException: The marker is not valid.';
    expect(await frontend.refusal(ListKeyRotations, { ...other, Marker })).toBe(invalid);
    const all = { ...key, IncludeKeyMaterial: 'ALL_KEY_MATERIAL', Marker };
    expect(await frontend.refusal(ListKeyRotations, all)).toBe(invalid);
    expect(await frontend.refusal(ListKeyRotations, { ...key, Marker: 'made-up' })).toBe(invalid);
  });

  test('ends, though an older record lists one material twice', async () => {
    await frontend.call(RotateKeyOnDemand, key);
    const { backingKeys } = (await frontend.store.findKey(region, key.KeyId))!;
    const again = backingKeys.at(-1)!;
    await change(key.KeyId, { backingKeys: [...backingKeys, { ...again }, { ...again }] });
    const { NextMarker: Marker } = await frontend.call(ListKeyRotations, { ...key, Limit: 1 });
    expect(await frontend.call(ListKeyRotations, { ...key, Limit: 1, Marker })).toEqual({
      Rotations: [],
      Truncated: false,
    });
  });

  test('is empty for a key that never had material', async () => {
    const imported = await newKey({ Origin: 'EXTERNAL' });
    for (const IncludeKeyMaterial of ['ALL_KEY_MATERIAL', 'ROTATIONS_ONLY']) {
      const list = await frontend.call(ListKeyRotations, { ...imported, IncludeKeyMaterial });
      expect(list).toEqual({ Rotations: [], Truncated: false });
    }
  });

  test('is not there for a key that never rotates', async () => {
    expect(await frontend.refusal(ListKeyRotations, await newKey(kinds.rsa))).toBe('UnsupportedOperationException');
  });
});

test('every ciphertext of every older material still opens, and ReEncrypt moves it to the current one', async () => {
  const real = new FakeFrontend(new LocalHsm());
  const { KeyMetadata } = await real.call(CreateKey, {});
  const KeyId = KeyMetadata?.KeyId;
  const materialOf = (blob: Uint8Array | undefined) =>
    Buffer.from(parseBlobHeader(Buffer.from(blob ?? [])).materialId).toString('hex');
  const ciphertexts: { blob: Uint8Array | undefined; material: string }[] = [];
  for (let generation = 0; generation < 3; generation++) {
    const { CiphertextBlob: blob } = await real.call(Encrypt, { KeyId, Plaintext: Buffer.of(generation) });
    ciphertexts.push({ blob, material: materialOf(blob) });
    await real.call(RotateKeyOnDemand, { KeyId });
  }
  expect(new Set(ciphertexts.map(({ material }) => material)).size).toBe(3);
  const current = (await real.call(DescribeKey, { KeyId })).KeyMetadata?.CurrentKeyMaterialId;
  for (const [generation, { blob, material }] of ciphertexts.entries()) {
    const { Plaintext, KeyMaterialId } = await real.call(Decrypt, { CiphertextBlob: blob });
    expect([Buffer.from(Plaintext ?? []), KeyMaterialId]).toEqual([Buffer.of(generation), material]);
    const moved = await real.call(ReEncrypt, { CiphertextBlob: blob, DestinationKeyId: KeyId });
    expect(materialOf(moved.CiphertextBlob)).toBe(current);
    const opened = await real.call(Decrypt, { CiphertextBlob: moved.CiphertextBlob });
    expect(Buffer.from(opened.Plaintext ?? [])).toEqual(Buffer.of(generation));
  }
});
