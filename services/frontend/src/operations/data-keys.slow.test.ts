import { FakeFrontend } from '@keyfleet/test-support/fakes/frontend';
import { LocalHsm } from '@keyfleet/test-support/fakes/local-hsm';
import { createPrivateKey, createPublicKey } from 'node:crypto';
import { Decrypt, ReEncrypt } from '@keyfleet/shared/api/cipher';
import {
  GenerateDataKey,
  GenerateDataKeyPair,
  GenerateDataKeyPairWithoutPlaintext,
  GenerateDataKeyWithoutPlaintext,
} from '@keyfleet/shared/api/data-keys';
import { CreateKey } from '@keyfleet/shared/api/keys';
import { beforeAll, expect, test } from 'vitest';

const frontend = new FakeFrontend(new LocalHsm());
const EncryptionContext = { purpose: 'test' };
let KeyId: string;
let arn: string;
beforeAll(async () => ({ KeyId, arn } = await newKey()));

async function newKey(request: object = {}): Promise<{ KeyId: string; arn: string }> {
  const { KeyMetadata } = await frontend.call(CreateKey, request);
  return { KeyId: KeyMetadata!.KeyId, arn: KeyMetadata!.Arn! };
}

async function decrypted(CiphertextBlob: Uint8Array | undefined): Promise<Buffer> {
  const { Plaintext } = await frontend.call(Decrypt, { CiphertextBlob, EncryptionContext });
  return Buffer.from(Plaintext!);
}

test('a data key without plaintext shows it only to who decrypts it', async () => {
  const made = await frontend.call(GenerateDataKeyWithoutPlaintext, { KeyId, NumberOfBytes: 24, EncryptionContext });
  expect(Object.keys(made).toSorted()).toEqual(['CiphertextBlob', 'KeyId', 'KeyMaterialId']);
  expect(await decrypted(made.CiphertextBlob)).toHaveLength(24);
});

test.each([
  'RSA_2048',
  'ECC_NIST_P256',
  'ECC_NIST_P384',
  'ECC_NIST_P521',
  'ECC_SECG_P256K1',
  'ECC_NIST_EDWARDS25519',
  'ML_KEM_768',
])('a data key pair of %s: the ciphertext holds the private key of the public key', async (KeyPairSpec) => {
  const request = { KeyId, KeyPairSpec, EncryptionContext };
  const pair = await frontend.call(GenerateDataKeyPair, request);
  expect(pair).toMatchObject({ KeyId: arn, KeyPairSpec, KeyMaterialId: expect.any(String) });
  const privateKey = await decrypted(pair.PrivateKeyCiphertextBlob);
  expect(privateKey).toEqual(Buffer.from(pair.PrivateKeyPlaintext!));
  const opened = createPublicKey(createPrivateKey({ key: privateKey, format: 'der', type: 'pkcs8' }));
  expect(opened.export({ format: 'der', type: 'spki' })).toEqual(Buffer.from(pair.PublicKey!));
  const without = await frontend.call(GenerateDataKeyPairWithoutPlaintext, request);
  expect(without).not.toHaveProperty('PrivateKeyPlaintext');
  expect(await decrypted(without.PrivateKeyCiphertextBlob)).not.toEqual(privateKey);
});

test('SM2 is not a spec outside China', async () => {
  expect(await frontend.refusal(GenerateDataKeyPair, { KeyId, KeyPairSpec: 'SM2' })).toMatch(
    /^ValidationException: 1 validation error detected: Value 'SM2' at 'keyPairSpec' .*enum value set: \[[^\]]*\]$/,
  );
});

test('data keys are encrypted under symmetric encryption keys only', async () => {
  const rsa = await newKey({ KeySpec: 'RSA_2048', KeyUsage: 'ENCRYPT_DECRYPT' });
  const mac = await newKey({ KeySpec: 'HMAC_256', KeyUsage: 'GENERATE_VERIFY_MAC' });
  expect(await frontend.refusal(GenerateDataKeyWithoutPlaintext, { KeyId: rsa.KeyId, KeySpec: 'AES_256' })).toBe(
    'InvalidKeyUsageException: You cannot generate a data key with an asymmetric CMK',
  );
  expect(await frontend.refusal(GenerateDataKeyPair, { KeyId: mac.KeyId, KeyPairSpec: 'RSA_2048' })).toBe(
    `InvalidKeyUsageException: ${mac.arn} key usage is GENERATE_VERIFY_MAC which is not valid for GenerateDataKeyPair.`,
  );
});

test('ReEncrypt moves a ciphertext to another key and context, from and to RSA too', async () => {
  const { CiphertextBlob, Plaintext } = await frontend.call(GenerateDataKey, {
    KeyId,
    KeySpec: 'AES_256',
    EncryptionContext,
  });
  const other = await newKey();
  const rsa = await newKey({ KeySpec: 'RSA_2048', KeyUsage: 'ENCRYPT_DECRYPT' });
  const moved = await frontend.call(ReEncrypt, {
    CiphertextBlob,
    SourceEncryptionContext: EncryptionContext,
    DestinationKeyId: other.KeyId,
    DestinationEncryptionContext: { moved: 'yes' },
  });
  expect(moved).toMatchObject({
    SourceKeyId: arn,
    KeyId: other.arn,
    SourceEncryptionAlgorithm: 'SYMMETRIC_DEFAULT',
    DestinationEncryptionAlgorithm: 'SYMMETRIC_DEFAULT',
    SourceKeyMaterialId: expect.any(String),
    DestinationKeyMaterialId: expect.any(String),
  });
  expect(frontend.lastAudit.resources).toHaveLength(2);
  const toRsa = await frontend.call(ReEncrypt, {
    CiphertextBlob: moved.CiphertextBlob,
    SourceEncryptionContext: { moved: 'yes' },
    DestinationKeyId: rsa.KeyId,
    DestinationEncryptionAlgorithm: 'RSAES_OAEP_SHA_256',
  });
  expect(toRsa).not.toHaveProperty('DestinationKeyMaterialId');
  const back = await frontend.call(ReEncrypt, {
    CiphertextBlob: toRsa.CiphertextBlob,
    SourceKeyId: rsa.KeyId,
    SourceEncryptionAlgorithm: 'RSAES_OAEP_SHA_256',
    DestinationKeyId: KeyId,
    DestinationEncryptionContext: EncryptionContext,
  });
  expect(await decrypted(back.CiphertextBlob)).toEqual(Buffer.from(Plaintext!));
});

test('ReEncrypt needs the source’s own key and context, and says nothing more', async () => {
  const { CiphertextBlob } = await frontend.call(GenerateDataKey, { KeyId, KeySpec: 'AES_256', EncryptionContext });
  const other = await newKey();
  const request = { CiphertextBlob, DestinationKeyId: other.KeyId };
  expect(await frontend.refusal(ReEncrypt, request)).toBe('InvalidCiphertextException');
  expect(await frontend.refusal(ReEncrypt, { ...request, SourceKeyId: other.KeyId })).toMatch(/^IncorrectKeyException/);
});

test('a dry run without a ciphertext asks about permission only, and must name the key', async () => {
  const dryRun = { DryRun: true, DryRunModifiers: ['IGNORE_CIPHERTEXT'] };
  expect(await frontend.refusal(Decrypt, { KeyId, ...dryRun })).toMatch(/^DryRunOperationException/);
  expect(await frontend.refusal(ReEncrypt, { SourceKeyId: KeyId, DestinationKeyId: KeyId, ...dryRun })).toMatch(
    /^DryRunOperationException/,
  );
  expect(await frontend.refusal(Decrypt, dryRun)).toMatch(/^ValidationException/);
  expect(await frontend.refusal(Decrypt, { KeyId, ...dryRun, DryRun: false })).toMatch(/^ValidationException/);
});
