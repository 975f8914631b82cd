import { DeleteImportedKeyMaterial, GetParametersForImport, ImportKeyMaterial } from '@keyfleet/shared/api/import';
import { CancelKeyDeletion, CreateKey, DescribeKey, ScheduleKeyDeletion } from '@keyfleet/shared/api/keys';
import { Encrypt } from '@keyfleet/shared/api/cipher';
import { dueDateOf } from '@keyfleet/shared/stored/due-entries';
import { carryOutAll } from '@keyfleet/test-support/fakes/carry-out';
import { FakeFrontend, region } from '@keyfleet/test-support/fakes/frontend';
import { LocalHsm } from '@keyfleet/test-support/fakes/local-hsm';
import { wrapMaterial } from '@keyfleet/shared/wrap-material';
import { randomBytes } from 'node:crypto';
import { beforeEach, expect, test } from 'vitest';

const SECOND = 1000;
const wrapping = { WrappingAlgorithm: 'RSAES_OAEP_SHA_256', WrappingKeySpec: 'RSA_2048' } as const;
const forEver = { ExpirationModel: 'KEY_MATERIAL_DOES_NOT_EXPIRE' } as const;

let frontend: FakeFrontend<LocalHsm>;
let KeyId: string;
beforeEach(async () => {
  frontend = new FakeFrontend(new LocalHsm());
  const { KeyMetadata } = await frontend.call(CreateKey, { Origin: 'EXTERNAL' });
  KeyId = KeyMetadata!.KeyId;
});

async function wrap(material: Uint8Array) {
  const { ImportToken, PublicKey } = await frontend.call(GetParametersForImport, { KeyId, ...wrapping });
  return { KeyId, ImportToken, EncryptedKeyMaterial: wrapMaterial('RSAES_OAEP_SHA_256', PublicKey!, material) };
}

async function importFor(milliseconds: number): Promise<void> {
  const ValidTo = frontend.now + milliseconds;
  await frontend.call(ImportKeyMaterial, { ...(await wrap(randomBytes(32))), ValidTo });
}

const metadata = async () => (await frontend.call(DescribeKey, { KeyId })).KeyMetadata!;
const stored = async () => (await frontend.store.findKey(region, KeyId))!;
/** A key whose material is gone keeps only the material's id. */
const nameAlone = [{ token: undefined, validTo: undefined }];

async function carryOut(): Promise<string[]> {
  return (await carryOutAll(frontend)).map(({ eventName }) => eventName);
}

test('material is used to the millisecond before its date, whether or not anybody has destroyed it', async () => {
  await importFor(10 * SECOND);
  const encrypt = { KeyId, Plaintext: Buffer.from('x') };
  frontend.now += 10 * SECOND - 1;
  await frontend.call(Encrypt, encrypt);
  frontend.now += 1;
  expect(await frontend.refusal(Encrypt, encrypt)).toMatch(/^KMSInvalidStateException: .* is pending import\.$/);
  expect(await metadata()).toMatchObject({ KeyState: 'PendingImport', Enabled: false });
  expect(await metadata()).not.toHaveProperty('ValidTo');
});

test('material is destroyed on its date, is recorded once, and its key takes it again and no other', async () => {
  await importFor(10 * SECOND);
  expect(await carryOut()).toEqual([]);
  frontend.now += 10 * SECOND;
  expect(await carryOut()).toEqual(['DeleteExpiredKeyMaterial']);
  expect(await carryOut()).toEqual([]);
  expect(await stored()).toMatchObject({ state: 'PendingImport', backingKeys: nameAlone });
  const other = { ...(await wrap(randomBytes(32))), ...forEver };
  expect(await frontend.refusal(ImportKeyMaterial, other)).toBe('IncorrectKeyMaterialException');
});

test('material expires in a key that waits for its deletion, which then comes all the same', async () => {
  await importFor(10 * SECOND);
  await frontend.call(ScheduleKeyDeletion, { KeyId, PendingWindowInDays: 7 });
  frontend.now += 10 * SECOND;
  expect(await carryOut()).toEqual(['DeleteExpiredKeyMaterial']);
  const key = await stored();
  expect(key).toMatchObject({ state: 'PendingDeletion', backingKeys: nameAlone });
  expect(dueDateOf(key)).toBe(key.deletionDate);
  await frontend.call(CancelKeyDeletion, { KeyId });
  expect(await metadata()).toMatchObject({ KeyState: 'PendingImport' });
});

test('material that is imported again keeps its state, and gets another date or none', async () => {
  const material = randomBytes(32);
  await frontend.call(ImportKeyMaterial, { ...(await wrap(material)), ValidTo: frontend.now + SECOND });
  await frontend.call(ImportKeyMaterial, { ...(await wrap(material)), ...forEver });
  frontend.now += SECOND;
  expect(await carryOut()).toEqual([]);
  expect(await metadata()).toMatchObject({ KeyState: 'Enabled', ...forEver });
});

test('every member forgets material that is deleted; deleting it twice, or none, changes nothing', async () => {
  expect(await frontend.call(DeleteImportedKeyMaterial, { KeyId })).not.toHaveProperty('KeyMaterialId');
  await importFor(10 * SECOND);
  const { KeyMaterialId } = await frontend.call(DeleteImportedKeyMaterial, { KeyId });
  expect(frontend.hsm.executed.at(-1)).toBe('EvictBackingKey');
  expect(await stored()).toMatchObject({ state: 'PendingImport', backingKeys: nameAlone });
  expect(await frontend.call(DeleteImportedKeyMaterial, { KeyId })).toMatchObject({ KeyMaterialId });
  const unknown = { KeyId, KeyMaterialId: 'a'.repeat(64) };
  expect(await frontend.refusal(DeleteImportedKeyMaterial, unknown)).toMatch(/^NotFoundException/);
});

test('an import token allows any number of imports in its 24 hours, even after one that failed', async () => {
  const { ImportToken, PublicKey } = await frontend.call(GetParametersForImport, { KeyId, ...wrapping });
  const sent = (material: Uint8Array) => ({
    KeyId,
    ImportToken,
    EncryptedKeyMaterial: wrapMaterial('RSAES_OAEP_SHA_256', PublicKey!, material),
    ...forEver,
  });
  expect(await frontend.refusal(ImportKeyMaterial, sent(randomBytes(16)))).toBe('IncorrectKeyMaterialException');
  const material = randomBytes(32);
  await frontend.call(ImportKeyMaterial, sent(material));
  frontend.hsm.now += 24 * 3_600_000 - 1;
  await frontend.call(ImportKeyMaterial, sent(material));
  frontend.hsm.now += 1;
  expect(await frontend.refusal(ImportKeyMaterial, sent(material))).toBe('ExpiredImportTokenException');
});

test.each([
  ['SYMMETRIC_DEFAULT', 'RSAES_PKCS1_V1_5', 'RSA_2048'],
  ['SYMMETRIC_DEFAULT', 'SM2PKE', 'RSA_2048'],
  ['RSA_2048', 'RSAES_OAEP_SHA_256', 'RSA_2048'],
  ['RSA_3072', 'RSAES_OAEP_SHA_256', 'RSA_4096'],
  ['RSA_4096', 'RSAES_OAEP_SHA_1', 'RSA_4096'],
  ['ECC_NIST_P521', 'RSAES_OAEP_SHA_1', 'RSA_2048'],
  ['ECC_NIST_P521', 'RSAES_OAEP_SHA_256', 'RSA_2048'],
] as const)('material of %s is not wrapped by %s under %s', async (KeySpec, WrappingAlgorithm, WrappingKeySpec) => {
  const KeyUsage = KeySpec === 'SYMMETRIC_DEFAULT' ? 'ENCRYPT_DECRYPT' : 'SIGN_VERIFY';
  const { KeyMetadata } = await frontend.call(CreateKey, { Origin: 'EXTERNAL', KeySpec, KeyUsage });
  const input = { KeyId: KeyMetadata!.KeyId, WrappingAlgorithm, WrappingKeySpec };
  expect(await frontend.refusal(GetParametersForImport, input)).toMatch(/^UnsupportedOperationException/);
});
