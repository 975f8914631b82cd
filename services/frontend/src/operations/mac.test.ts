import { CreateKey } from '@keyfleet/shared/api/keys';
import { GenerateMac, VerifyMac } from '@keyfleet/shared/api/mac';
import { GenerateRandom } from '@keyfleet/shared/api/random';
import { FakeFrontend } from '@keyfleet/test-support/fakes/frontend';
import { LocalHsm } from '@keyfleet/test-support/fakes/local-hsm';
import { expect, test } from 'vitest';

const frontend = new FakeFrontend(new LocalHsm());

async function newKey(KeySpec: string): Promise<{ keyId: string; arn: string }> {
  const { KeyMetadata } = await frontend.call(CreateKey, { KeySpec, KeyUsage: 'GENERATE_VERIFY_MAC' });
  return { keyId: KeyMetadata!.KeyId, arn: KeyMetadata!.Arn! };
}

test.each([
  ['HMAC_224', 'HMAC_SHA_224', 28],
  ['HMAC_256', 'HMAC_SHA_256', 32],
  ['HMAC_384', 'HMAC_SHA_384', 48],
  ['HMAC_512', 'HMAC_SHA_512', 64],
])('%s makes a MAC by %s that only its own message has', async (keySpec, algorithm, length) => {
  const { keyId, arn } = await newKey(keySpec);
  const request = { KeyId: keyId, MacAlgorithm: algorithm, Message: Buffer.from('message') };
  const { Mac, ...rest } = await frontend.call(GenerateMac, request);
  expect(rest).toEqual({ KeyId: arn, MacAlgorithm: algorithm });
  expect(Mac).toHaveLength(length);
  expect(await frontend.call(VerifyMac, { ...request, Mac })).toEqual({
    KeyId: arn,
    MacValid: true,
    MacAlgorithm: algorithm,
  });
  expect(await frontend.refusal(VerifyMac, { ...request, Mac, Message: Buffer.from('massage') })).toBe(
    'KMSInvalidMacException',
  );
  expect(await frontend.refusal(VerifyMac, { ...request, Mac: Mac!.subarray(1) })).toBe('KMSInvalidMacException');
  expect(await frontend.refusal(VerifyMac, { ...request, Mac, DryRun: true })).toMatch(/^DryRunOperationException/);
});

test('an HMAC key has one algorithm', async () => {
  const { keyId } = await newKey('HMAC_256');
  const request = { KeyId: keyId, MacAlgorithm: 'HMAC_SHA_512', Message: Buffer.from('message') };
  expect(await frontend.refusal(GenerateMac, request)).toBe(
    'InvalidKeyUsageException: Algorithm HMAC_SHA_512 is incompatible with key spec HMAC_256.',
  );
});

test('random bytes come in the length that was asked for, and not without one', async () => {
  const { Plaintext } = await frontend.call(GenerateRandom, { NumberOfBytes: 1024 });
  expect(Plaintext).toHaveLength(1024);
  expect(await frontend.refusal(GenerateRandom, {})).toBe('ValidationException: NumberOfBytes is required.');
  expect(await frontend.refusal(GenerateRandom, { NumberOfBytes: 1, CustomKeyStoreId: 'cks-1' })).toBe(
    'CustomKeyStoreNotFoundException: Custom key store cks-1 does not exist.',
  );
});
