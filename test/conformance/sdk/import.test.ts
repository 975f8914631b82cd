import type { KeySpec, SigningAlgorithmSpec } from '@aws-sdk/client-kms';
import { call, kms, refusalOf } from '@keyfleet/test-support/sdk-client';
import { type Key, newKey } from '@keyfleet/test-support/sdk-keys';
import { wrapped } from '@keyfleet/test-support/wrapped';
import { wrappingAlgorithms, wrappingKeySpecs } from '@keyfleet/shared/algorithms';
import { createHmac, createPublicKey, generateKeyPairSync, type KeyObject, randomBytes, verify } from 'node:crypto';
import { expect, test } from 'vitest';

const forEver = { ExpirationModel: 'KEY_MATERIAL_DOES_NOT_EXPIRE' } as const;
const expires = { ExpirationModel: 'KEY_MATERIAL_EXPIRES' } as const;

async function importInto({ KeyId }: Key, material: Uint8Array, expiry: object = forEver) {
  return kms.importKeyMaterial({ KeyId, ...(await wrapped(kms, KeyId, material)), ...expiry });
}

async function metadataOf({ KeyId }: Key) {
  return (await kms.describeKey({ KeyId })).KeyMetadata!;
}

test('a key encrypts under material that was imported, and not while that is deleted, and decrypts when it is back', async () => {
  const key = await newKey({ Origin: 'EXTERNAL' });
  const { KeyId } = key;
  const material = randomBytes(32);
  const { KeyMaterialId } = await importInto(key, material);
  const imported = { KeyState: 'Enabled', Enabled: true, CurrentKeyMaterialId: KeyMaterialId, ...forEver };
  expect(await metadataOf(key)).toMatchObject(imported);
  const { CiphertextBlob } = await kms.encrypt({ KeyId, Plaintext: Buffer.from('x') });

  expect(await kms.deleteImportedKeyMaterial({ KeyId })).toMatchObject({ KeyId: key.Arn, KeyMaterialId });
  expect(await metadataOf(key)).toMatchObject({ KeyState: 'PendingImport', CurrentKeyMaterialId: KeyMaterialId });
  expect(await metadataOf(key)).not.toHaveProperty('ExpirationModel');
  const pendingImport = `KMSInvalidStateException: ${key.Arn} is pending import.`;
  expect(await refusalOf(kms.decrypt({ CiphertextBlob }))).toBe(pendingImport);

  expect(await refusalOf(importInto(key, randomBytes(32)))).toBe('IncorrectKeyMaterialException');
  expect(await refusalOf(kms.decrypt({ CiphertextBlob }))).toBe(pendingImport);
  expect(await importInto(key, material)).toMatchObject({ KeyMaterialId });
  expect(Buffer.from((await kms.decrypt({ CiphertextBlob })).Plaintext!).toString()).toBe('x');
});

test('the same material in another key has another id and decrypts nothing of the first', async () => {
  const [one, other] = [await newKey({ Origin: 'EXTERNAL' }), await newKey({ Origin: 'EXTERNAL' })];
  const material = randomBytes(32);
  const ids = [await importInto(one, material), await importInto(other, material)];
  expect(ids[0]!.KeyMaterialId).not.toBe(ids[1]!.KeyMaterialId);
  const { CiphertextBlob } = await kms.encrypt({ KeyId: one.KeyId, Plaintext: Buffer.from('x') });
  expect(await refusalOf(kms.decrypt({ CiphertextBlob, KeyId: other.KeyId }))).toMatch(/^IncorrectKeyException/);
});

test('an HMAC key makes the MACs of the material that was imported, which may be longer than its hash', async () => {
  const material = randomBytes(100);
  const key = await newKey({ Origin: 'EXTERNAL', KeySpec: 'HMAC_256', KeyUsage: 'GENERATE_VERIFY_MAC' });
  await importInto(key, material);
  const Message = Buffer.from('message');
  const { Mac } = await kms.generateMac({ KeyId: key.KeyId, Message, MacAlgorithm: 'HMAC_SHA_256' });
  expect(Buffer.from(Mac!).equals(createHmac('sha256', material).update(Message).digest())).toBe(true);
});

const wrappings = wrappingAlgorithms.flatMap((WrappingAlgorithm) =>
  wrappingKeySpecs.map((WrappingKeySpec) => ({ WrappingAlgorithm, WrappingKeySpec })),
);

test.each(wrappings)('material is imported wrapped by $WrappingAlgorithm with $WrappingKeySpec', async (wrapping) => {
  const { KeyId } = await newKey({ Origin: 'EXTERNAL' });
  const sent = await wrapped(kms, KeyId, randomBytes(32), wrapping);
  expect(await kms.importKeyMaterial({ KeyId, ...sent, ...forEver })).toMatchObject({
    KeyMaterialId: expect.stringMatching(/^[0-9a-f]{64}$/) as string,
  });
});

const pairs: readonly (readonly [
  KeySpec,
  SigningAlgorithmSpec,
  () => { privateKey: KeyObject; publicKey: KeyObject },
])[] = [
  ['RSA_2048', 'RSASSA_PKCS1_V1_5_SHA_256', () => generateKeyPairSync('rsa', { modulusLength: 2048 })],
  ['RSA_3072', 'RSASSA_PKCS1_V1_5_SHA_256', () => generateKeyPairSync('rsa', { modulusLength: 3072 })],
  ['RSA_4096', 'RSASSA_PKCS1_V1_5_SHA_256', () => generateKeyPairSync('rsa', { modulusLength: 4096 })],
  ['ECC_NIST_P256', 'ECDSA_SHA_256', () => generateKeyPairSync('ec', { namedCurve: 'P-256' })],
  ['ECC_NIST_P384', 'ECDSA_SHA_384', () => generateKeyPairSync('ec', { namedCurve: 'P-384' })],
  ['ECC_NIST_P521', 'ECDSA_SHA_512', () => generateKeyPairSync('ec', { namedCurve: 'P-521' })],
  ['ECC_SECG_P256K1', 'ECDSA_SHA_256', () => generateKeyPairSync('ec', { namedCurve: 'secp256k1' })],
  ['ECC_NIST_EDWARDS25519', 'ED25519_SHA_512', () => generateKeyPairSync('ed25519')],
];

test.each(pairs)('a key pair of %s signs with the private key that was imported', async (KeySpec, algorithm, make) => {
  const { privateKey, publicKey } = make();
  const key = await newKey({ Origin: 'EXTERNAL', KeySpec, KeyUsage: 'SIGN_VERIFY' });
  const { KeyId } = key;
  const material = privateKey.export({ format: 'der', type: 'pkcs8' });
  const { KeyMaterialId } = await importInto(key, material);
  expect(await metadataOf(key)).toMatchObject({ KeyState: 'Enabled', ...forEver });
  const spki = publicKey.export({ format: 'der', type: 'spki' });
  const { PublicKey } = await kms.getPublicKey({ KeyId });
  expect(spki.equals(PublicKey!)).toBe(true);
  const Message = Buffer.from('message');
  const { Signature } = await kms.sign({ KeyId, Message, SigningAlgorithm: algorithm });
  const hash = algorithm.startsWith('ED25519') ? null : algorithm.slice(-7).replace('_', '').toLowerCase();
  expect(verify(hash, Message, createPublicKey(publicKey.export({ format: 'pem', type: 'spki' })), Signature!)).toBe(
    true,
  );

  await kms.deleteImportedKeyMaterial({ KeyId });
  const other = make().privateKey.export({ format: 'der', type: 'pkcs8' });
  expect(await refusalOf(importInto(key, other))).toBe('IncorrectKeyMaterialException');
  expect(await importInto(key, material)).toMatchObject({ KeyMaterialId });
});

test('a private key of another spec than the key is incorrect material, and one that was damaged is an invalid ciphertext', async () => {
  const key = await newKey({ Origin: 'EXTERNAL', KeySpec: 'ECC_NIST_P384', KeyUsage: 'KEY_AGREEMENT' });
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const material = privateKey.export({ format: 'der', type: 'pkcs8' });
  expect(await refusalOf(importInto(key, material))).toBe('IncorrectKeyMaterialException');
  const sent = await wrapped(kms, key.KeyId, material);
  sent.EncryptedKeyMaterial[300]! ^= 1;
  expect(await refusalOf(kms.importKeyMaterial({ KeyId: key.KeyId, ...sent, ...forEver }))).toBe(
    'InvalidCiphertextException',
  );
});

test('material of RSA is not wrapped by RSA alone', async () => {
  const key = await newKey({ Origin: 'EXTERNAL', KeySpec: 'RSA_2048', KeyUsage: 'ENCRYPT_DECRYPT' });
  const wrapping = { WrappingAlgorithm: 'RSAES_OAEP_SHA_256', WrappingKeySpec: 'RSA_4096' } as const;
  expect(await refusalOf(kms.getParametersForImport({ KeyId: key.KeyId, ...wrapping }))).toBe(
    'UnsupportedOperationException: Wrapping algorithm RSAES_OAEP_SHA_256 with wrapping key spec RSA_4096 is not supported for key material of key spec RSA_2048.',
  );
});

test('the import token of one key is not that of another', async () => {
  const [one, other] = [await newKey({ Origin: 'EXTERNAL' }), await newKey({ Origin: 'EXTERNAL' })];
  const sent = await wrapped(kms, one.KeyId, randomBytes(32));
  const importing = kms.importKeyMaterial({ KeyId: other.KeyId, ...sent, ...forEver });
  expect(await refusalOf(importing)).toBe('InvalidImportTokenException');
});

test('a key is rotated to material that was imported for it, and decrypts under all that it had', async () => {
  const key = await newKey({ Origin: 'EXTERNAL' });
  const { KeyId } = key;
  const first = randomBytes(32);
  const { KeyMaterialId: firstId } = await importInto(key, first, { ...forEver, KeyMaterialDescription: 'safe A' });
  const { CiphertextBlob } = await kms.encrypt({ KeyId, Plaintext: Buffer.from('x') });
  const asNew = { ...forEver, ImportType: 'NEW_KEY_MATERIAL', KeyMaterialDescription: 'safe B' };
  const { KeyMaterialId: secondId } = await importInto(key, randomBytes(32), asNew);
  expect(await refusalOf(importInto(key, randomBytes(32), asNew))).toMatch(
    new RegExp(
      `^KMSInvalidStateException: New key material \\(id: [0-9a-f]{64}\\) cannot be imported into KMS key ${key.Arn}, because another key material \\(id: ${secondId}\\) is pending rotation\\.$`,
    ),
  );
  const list = { KeyId, IncludeKeyMaterial: 'ALL_KEY_MATERIAL' } as const;
  const one = { KeyId, KeyMaterialId: firstId, KeyMaterialDescription: 'safe A', ImportState: 'IMPORTED', ...forEver };
  const other = { ...one, KeyMaterialId: secondId, KeyMaterialDescription: 'safe B' };
  expect((await kms.listKeyRotations(list)).Rotations).toEqual([
    { ...one, KeyMaterialState: 'CURRENT' },
    { ...other, KeyMaterialState: 'PENDING_ROTATION' },
  ]);
  expect(await kms.rotateKeyOnDemand({ KeyId })).toMatchObject({ KeyId: key.Arn });
  expect(await metadataOf(key)).toMatchObject({ KeyState: 'Enabled', CurrentKeyMaterialId: secondId });
  const rotation = { RotationType: 'ON_DEMAND', RotationDate: expect.any(Date) as Date };
  expect((await kms.listKeyRotations(list)).Rotations).toEqual([
    { ...one, KeyMaterialState: 'NON_CURRENT' },
    { ...other, KeyMaterialState: 'CURRENT', ...rotation },
  ]);
  expect(await kms.decrypt({ CiphertextBlob })).toMatchObject({ KeyMaterialId: firstId });
  expect(await kms.generateDataKey({ KeyId, KeySpec: 'AES_256' })).toMatchObject({ KeyMaterialId: secondId });
  expect(await refusalOf(kms.rotateKeyOnDemand({ KeyId }))).toBe(
    `KMSInvalidStateException: No available key material pending rotation for the key: ${key.Arn}.`,
  );

  const deletion = { KeyId, KeyMaterialId: firstId };
  expect(await kms.deleteImportedKeyMaterial(deletion)).toMatchObject({ KeyId: key.Arn, KeyMaterialId: firstId });
  expect(await metadataOf(key)).toMatchObject({ KeyState: 'PendingImport', CurrentKeyMaterialId: secondId });
  expect(await refusalOf(kms.decrypt({ CiphertextBlob }))).toBe(
    `KMSInvalidStateException: ${key.Arn} is pending import.`,
  );
  await importInto(key, first, { ...forEver, KeyMaterialId: firstId });
  expect(Buffer.from((await kms.decrypt({ CiphertextBlob })).Plaintext!).toString()).toBe('x');
});

test('material is gone at its second, and may be given another date before', async () => {
  const key = await newKey({ Origin: 'EXTERNAL' });
  const material = randomBytes(32);
  // An RSA key for it may have to be made first.
  const sent = await wrapped(kms, key.KeyId, material);
  const ValidTo = new Date(Math.ceil(Date.now() / 1000 + 4) * 1000);
  await kms.importKeyMaterial({ KeyId: key.KeyId, ...sent, ...expires, ValidTo });
  expect(await metadataOf(key)).toMatchObject({ KeyState: 'Enabled', ...expires, ValidTo });
  await expect.poll(async () => (await metadataOf(key)).KeyState, { timeout: 20_000 }).toBe('PendingImport');
  expect(Date.now()).toBeGreaterThanOrEqual(ValidTo.getTime());
  await importInto(key, material);
  expect(await metadataOf(key)).toMatchObject({ KeyState: 'Enabled', ...forEver });
});

test.each([
  [{}, 'A validTo date must be set if the ExpirationModel is KEY_MATERIAL_EXPIRES'],
  [{ ValidTo: new Date(1e12) }, 'A validTo date must be in the future, and at most 365 days from now'],
  [
    { ValidTo: new Date(Date.now() + 366 * 86_400_000) },
    'A validTo date must be in the future, and at most 365 days from now',
  ],
  [
    { ...forEver, ValidTo: new Date(Date.now() + 60_000) },
    'A validTo date must not be set if the ExpirationModel is KEY_MATERIAL_DOES_NOT_EXPIRE',
  ],
  [
    { ...forEver, ImportType: 'NEW_KEY_MATERIAL', KeyMaterialId: 'a'.repeat(64) },
    'KeyMaterialId is not valid for ImportType NEW_KEY_MATERIAL.',
  ],
])('ImportKeyMaterial with %j is refused before anything is unwrapped', async (given, message) => {
  const { KeyId } = await newKey({ Origin: 'EXTERNAL' });
  const request = { KeyId, ImportToken: randomBytes(20), EncryptedKeyMaterial: randomBytes(20), ...given };
  expect(await refusalOf(call('ImportKeyMaterial', request))).toBe(`ValidationException: ${message}`);
});
