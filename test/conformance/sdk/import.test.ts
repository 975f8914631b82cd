import { call, kms, refusalOf } from '@keyfleet/test-support/sdk-client';
import { type Key, newKey } from '@keyfleet/test-support/sdk-keys';
import { wrapped } from '@keyfleet/test-support/wrapped';
import { createHmac, randomBytes } from 'node:crypto';
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

test('the import token of one key is not that of another', async () => {
  const [one, other] = [await newKey({ Origin: 'EXTERNAL' }), await newKey({ Origin: 'EXTERNAL' })];
  const sent = await wrapped(kms, one.KeyId, randomBytes(32));
  const importing = kms.importKeyMaterial({ KeyId: other.KeyId, ...sent, ...forEver });
  expect(await refusalOf(importing)).toBe('InvalidImportTokenException');
});

test('material is gone at its second, and may be given another date before', async () => {
  const key = await newKey({ Origin: 'EXTERNAL' });
  const material = randomBytes(32);
  const in2s = new Date(Math.ceil(Date.now() / 1000 + 2) * 1000);
  await importInto(key, material, { ...expires, ValidTo: in2s });
  expect(await metadataOf(key)).toMatchObject({ KeyState: 'Enabled', ...expires, ValidTo: in2s });
  await expect.poll(async () => (await metadataOf(key)).KeyState, { timeout: 10_000 }).toBe('PendingImport');
  expect(Date.now()).toBeGreaterThanOrEqual(in2s.getTime());
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
