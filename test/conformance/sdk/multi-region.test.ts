import { kms, newKms, refusalOf } from '@keyfleet/test-support/sdk-client';
import { newKey } from '@keyfleet/test-support/sdk-keys';
import { wrapped } from '@keyfleet/test-support/wrapped';
import { randomBytes } from 'node:crypto';
import { expect, test } from 'vitest';

const west = newKms({ region: 'eu-west-1' });
const south = newKms({ region: 'ap-south-1' });
const multiRegion = { MultiRegion: true } as const;
const replicaRegion = { ReplicaRegion: 'eu-west-1' } as const;
const forEver = { ExpirationModel: 'KEY_MATERIAL_DOES_NOT_EXPIRE' } as const;

async function encrypt(client: typeof kms, KeyId: string): Promise<Uint8Array> {
  return (await client.encrypt({ KeyId, Plaintext: Buffer.from('x') })).CiphertextBlob!;
}

async function decrypt(client: typeof kms, CiphertextBlob: Uint8Array): Promise<string> {
  return Buffer.from((await client.decrypt({ CiphertextBlob })).Plaintext!).toString();
}

test('a replica in another Region decrypts what the primary encrypts, also after rotations, and nothing else does', async () => {
  const { KeyId, Arn } = await newKey(multiRegion);
  await kms.rotateKeyOnDemand({ KeyId });
  const { ReplicaKeyMetadata: replica, ...given } = await kms.replicateKey({ KeyId, ...replicaRegion });
  const there = Arn.replace('us-east-1', 'eu-west-1');
  expect(replica).toMatchObject({
    KeyId,
    Arn: there,
    KeyState: 'Creating',
    Enabled: false,
    MultiRegion: true,
    MultiRegionConfiguration: {
      MultiRegionKeyType: 'REPLICA',
      PrimaryKey: { Arn, Region: 'us-east-1' },
      ReplicaKeys: [{ Arn: there, Region: 'eu-west-1' }],
    },
  });
  expect(given).toMatchObject({
    ReplicaTags: [],
    ReplicaPolicy: expect.stringContaining('"key-default-1"') as unknown,
  });
  expect((await west.describeKey({ KeyId })).KeyMetadata).toMatchObject({ KeyState: 'Enabled', Enabled: true });

  const first = await encrypt(kms, KeyId);
  expect(await decrypt(west, first)).toBe('x');
  expect(await decrypt(kms, await encrypt(west, KeyId))).toBe('x');
  expect(await refusalOf(south.decrypt({ CiphertextBlob: first }))).toMatch(/^AccessDeniedException/);
  await kms.rotateKeyOnDemand({ KeyId });
  expect(await decrypt(west, await encrypt(kms, KeyId))).toBe('x');
  expect(await decrypt(west, first)).toBe('x');
  expect((await west.listKeyRotations({ KeyId })).Rotations).toHaveLength(2);
});

test('the primary moves to another Region, and is deleted after its replicas only', async () => {
  const { KeyId, Arn } = await newKey(multiRegion);
  await kms.replicateKey({ KeyId, ...replicaRegion });
  await kms.updatePrimaryRegion({ KeyId, PrimaryRegion: 'eu-west-1' });
  const refusal = `UnsupportedOperationException: ${Arn} is not a multi-region primary key.`;
  expect(await refusalOf(kms.replicateKey({ KeyId, ReplicaRegion: 'ap-south-1' }))).toBe(refusal);
  await west.replicateKey({ KeyId, ReplicaRegion: 'ap-south-1' });
  expect(await decrypt(south, await encrypt(kms, KeyId))).toBe('x');

  const scheduled = await west.scheduleKeyDeletion({ KeyId, PendingWindowInDays: 7 });
  expect(scheduled).toMatchObject({ KeyState: 'PendingReplicaDeletion', PendingWindowInDays: 7 });
  expect(scheduled.DeletionDate).toBeUndefined();
  const { KeyMetadata } = await west.describeKey({ KeyId });
  expect(KeyMetadata).toMatchObject({ KeyState: 'PendingReplicaDeletion', PendingDeletionWindowInDays: 7 });
  expect(await decrypt(south, await encrypt(kms, KeyId))).toBe('x');
});

test('a replica of a key with imported material waits for the same material, and takes no other', async () => {
  const { KeyId } = await newKey({ ...multiRegion, Origin: 'EXTERNAL' });
  const material = randomBytes(32);
  const { KeyMaterialId } = await kms.importKeyMaterial({
    KeyId,
    ...(await wrapped(kms, KeyId, material)),
    ...forEver,
  });
  await kms.replicateKey({ KeyId, ...replicaRegion });
  expect((await west.describeKey({ KeyId })).KeyMetadata).toMatchObject({ KeyState: 'PendingImport', Enabled: false });
  const importThere = async (bytes: Uint8Array) =>
    west.importKeyMaterial({ KeyId, ...(await wrapped(west, KeyId, bytes)), ...forEver });
  expect(await refusalOf(importThere(randomBytes(32)))).toBe('IncorrectKeyMaterialException');
  expect((await importThere(material)).KeyMaterialId).toBe(KeyMaterialId);
  expect(await decrypt(west, await encrypt(kms, KeyId))).toBe('x');
  await kms.deleteImportedKeyMaterial({ KeyId });
  expect(await decrypt(west, await encrypt(west, KeyId))).toBe('x');
});

test('a multi-Region key is rotated to imported material that is in each of its Regions', async () => {
  const { KeyId, Arn } = await newKey({ ...multiRegion, Origin: 'EXTERNAL' });
  const importAt = async (client: typeof kms, material: Uint8Array, type: object = {}) =>
    client.importKeyMaterial({ KeyId, ...(await wrapped(client, KeyId, material)), ...forEver, ...type });
  const states = async (client: typeof kms) => {
    const { Rotations } = await client.listKeyRotations({ KeyId, IncludeKeyMaterial: 'ALL_KEY_MATERIAL' });
    return Rotations!.map(({ KeyMaterialState, ImportState }) => [KeyMaterialState, ImportState]);
  };
  const [first, second] = [randomBytes(32), randomBytes(32)];
  await importAt(kms, first);
  await kms.replicateKey({ KeyId, ...replicaRegion });
  await importAt(west, first);
  const blob = await encrypt(west, KeyId);
  await importAt(kms, second, { ImportType: 'NEW_KEY_MATERIAL' });
  const waiting = 'PENDING_MULTI_REGION_IMPORT_AND_ROTATION';
  expect(await states(kms)).toEqual([
    ['CURRENT', 'IMPORTED'],
    [waiting, 'IMPORTED'],
  ]);
  expect(await states(west)).toEqual([
    ['CURRENT', 'IMPORTED'],
    [waiting, 'PENDING_IMPORT'],
  ]);
  expect(await refusalOf(kms.rotateKeyOnDemand({ KeyId }))).toBe(
    `KMSInvalidStateException: No available key material pending rotation for the key: ${Arn}.`,
  );
  await importAt(west, second, { ImportType: 'EXISTING_KEY_MATERIAL' });
  await kms.rotateKeyOnDemand({ KeyId });
  for (const client of [kms, west]) {
    expect(await states(client)).toEqual([
      ['NON_CURRENT', 'IMPORTED'],
      ['CURRENT', 'IMPORTED'],
    ]);
  }
  expect(await decrypt(west, await encrypt(kms, KeyId))).toBe('x');
  expect(await decrypt(kms, blob)).toBe('x');
});

test.each([
  { KeySpec: 'RSA_2048', KeyUsage: 'SIGN_VERIFY', SigningAlgorithm: 'RSASSA_PSS_SHA_256' },
  { KeySpec: 'ML_DSA_44', KeyUsage: 'SIGN_VERIFY', SigningAlgorithm: 'ML_DSA_SHAKE_256' },
] as const)('a signature by the $KeySpec of one Region is good in the other', async ({ SigningAlgorithm, ...kind }) => {
  const { KeyId } = await newKey({ ...multiRegion, ...kind });
  await kms.replicateKey({ KeyId, ...replicaRegion });
  const signing = { KeyId, SigningAlgorithm, Message: Buffer.from('message') };
  const { Signature } = await west.sign(signing);
  expect((await kms.verify({ ...signing, Signature })).SignatureValid).toBe(true);
});

test('a MAC of one Region is good in the other', async () => {
  const { KeyId } = await newKey({ ...multiRegion, KeySpec: 'HMAC_384', KeyUsage: 'GENERATE_VERIFY_MAC' });
  await kms.replicateKey({ KeyId, ...replicaRegion });
  const request = { KeyId, MacAlgorithm: 'HMAC_SHA_384', Message: Buffer.from('message') } as const;
  const { Mac } = await west.generateMac(request);
  expect((await kms.verifyMac({ ...request, Mac })).MacValid).toBe(true);
});
