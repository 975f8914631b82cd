import { Decrypt, Encrypt, ReEncrypt } from '@keyfleet/shared/api/cipher';
import { CreateKey, DescribeKey, DisableKey, GetKeyLastUsage, GetPublicKey } from '@keyfleet/shared/api/keys';
import { GenerateMac, VerifyMac } from '@keyfleet/shared/api/mac';
import { FakeFrontend, user } from '@keyfleet/test-support/fakes/frontend';
import { LocalHsm } from '@keyfleet/test-support/fakes/local-hsm';
import { beforeEach, expect, test } from 'vitest';

let frontend: FakeFrontend<LocalHsm>;
beforeEach(() => {
  frontend = new FakeFrontend(new LocalHsm());
});

async function newKey(request: object = {}) {
  const { KeyMetadata } = await frontend.call(CreateKey, request);
  return { keyId: KeyMetadata?.KeyId ?? '', arn: KeyMetadata?.Arn ?? '' };
}

async function lastUsage(keyId: string) {
  return (await frontend.call(GetKeyLastUsage, { KeyId: keyId })).KeyLastUsage;
}

test('a key that was never used says so, and since when that is known', async () => {
  const createdAt = frontend.now;
  const { keyId, arn } = await newKey();
  frontend.now += 60_000;
  await frontend.call(DescribeKey, { KeyId: keyId });
  expect(await frontend.call(GetKeyLastUsage, { KeyId: keyId })).toEqual({
    KeyId: arn,
    KeyLastUsage: {},
    TrackingStartDate: createdAt,
    KeyCreationDate: createdAt,
  });
  expect(frontend.lastAudit).toMatchObject({
    eventName: 'GetKeyLastUsage',
    readOnly: true,
    requestParameters: { keyId },
    responseElements: null,
    resources: [{ ARN: arn }],
  });
});

test('the last use is reported with its time, its request and its audit record', async () => {
  const { keyId, arn } = await newKey();
  const { CiphertextBlob } = await frontend.call(Encrypt, { KeyId: keyId, Plaintext: Buffer.of(1) });
  frontend.now += 1_000;
  await frontend.call(Decrypt, { CiphertextBlob }, { requestId: 'request-2' });
  const { eventID } = frontend.lastAudit;
  const usedAt = frontend.now;
  frontend.now += 1_000;
  await frontend.call(DisableKey, { KeyId: keyId });
  expect(await lastUsage(arn)).toEqual({
    Operation: 'Decrypt',
    Timestamp: usedAt,
    CloudTrailEventId: eventID,
    KmsRequestId: 'request-2',
  });
});

test('ReEncrypt uses both keys', async () => {
  const [source, destination] = [await newKey(), await newKey()];
  const { CiphertextBlob } = await frontend.call(Encrypt, { KeyId: source.keyId, Plaintext: Buffer.of(1) });
  await frontend.call(ReEncrypt, { CiphertextBlob, DestinationKeyId: destination.keyId });
  expect(await lastUsage(source.keyId)).toMatchObject({ Operation: 'ReEncrypt' });
  expect(await lastUsage(destination.keyId)).toMatchObject({ Operation: 'ReEncrypt' });
});

test('a failure is not a use, and neither is a dry run or reading the public key', async () => {
  const { keyId } = await newKey({ KeySpec: 'HMAC_256', KeyUsage: 'GENERATE_VERIFY_MAC' });
  const request = { KeyId: keyId, Message: Buffer.of(1), MacAlgorithm: 'HMAC_SHA_256' };
  await frontend.refusal(VerifyMac, { ...request, Mac: Buffer.alloc(32) });
  await frontend.refusal(GenerateMac, { ...request, DryRun: true });
  await frontend.refusal(GenerateMac, request, { caller: user('mallory', { policies: [] }) });
  expect(await lastUsage(keyId)).toEqual({});
  await frontend.call(GenerateMac, request);
  expect(await lastUsage(keyId)).toMatchObject({ Operation: 'GenerateMac' });

  const pair = await newKey({ KeySpec: 'ECC_NIST_P256', KeyUsage: 'SIGN_VERIFY' });
  await frontend.call(GetPublicKey, { KeyId: pair.keyId });
  expect(await lastUsage(pair.keyId)).toEqual({});
});

test('only who may, and only by id or ARN', async () => {
  const { keyId } = await newKey();
  const caller = user('mallory', { policies: [] });
  expect(await frontend.refusal(GetKeyLastUsage, { KeyId: keyId }, { caller })).toMatch(/^AccessDeniedException/);
  expect(await frontend.refusal(GetKeyLastUsage, { KeyId: 'alias/a' })).toBe(
    'InvalidArnException: Key Aliases are not supported for this operation.',
  );
});
