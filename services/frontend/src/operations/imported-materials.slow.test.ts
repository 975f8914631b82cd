import { Decrypt, Encrypt } from '@keyfleet/shared/api/cipher';
import { DeleteImportedKeyMaterial, GetParametersForImport, ImportKeyMaterial } from '@keyfleet/shared/api/import';
import { CancelKeyDeletion, CreateKey, DescribeKey, ScheduleKeyDeletion } from '@keyfleet/shared/api/keys';
import { ReplicateKey, UpdatePrimaryRegion } from '@keyfleet/shared/api/multi-region';
import type { InputOf } from '@keyfleet/shared/api/operation';
import { ListKeyRotations, RotateKeyOnDemand } from '@keyfleet/shared/api/rotation';
import { wrapMaterial } from '@keyfleet/shared/wrap-material';
import { carryOutAll } from '@keyfleet/test-support/fakes/carry-out';
import { FakeFrontend, region as east } from '@keyfleet/test-support/fakes/frontend';
import { LocalHsm } from '@keyfleet/test-support/fakes/local-hsm';
import { randomBytes } from 'node:crypto';
import { beforeEach, describe, expect, test } from 'vitest';

const SECOND = 1000;
const west = 'eu-west-1';
const south = 'ap-south-1';
const forEver = { ExpirationModel: 'KEY_MATERIAL_DOES_NOT_EXPIRE' } as const;
const asNew = { ImportType: 'NEW_KEY_MATERIAL' } as const;
const asExisting = { ImportType: 'EXISTING_KEY_MATERIAL' } as const;

type How = Partial<InputOf<typeof ImportKeyMaterial>>;

const hsm = new LocalHsm();
let frontend: FakeFrontend<LocalHsm>;
let KeyId: string;
let Arn: string;
beforeEach(() => begin({}));

async function begin(kind: object): Promise<void> {
  frontend = new FakeFrontend(hsm);
  const { KeyMetadata } = await frontend.call(CreateKey, { Origin: 'EXTERNAL', ...kind });
  ({ KeyId, Arn = '' } = KeyMetadata!);
}

const newMaterial = () => randomBytes(32);

async function requestOf(material: Uint8Array, how: How, region: string) {
  const wrapping = { WrappingAlgorithm: 'RSAES_OAEP_SHA_256', WrappingKeySpec: 'RSA_2048' } as const;
  const { ImportToken, PublicKey } = await frontend.call(GetParametersForImport, { KeyId, ...wrapping }, { region });
  const EncryptedKeyMaterial = wrapMaterial('RSAES_OAEP_SHA_256', PublicKey!, material);
  return { KeyId, ImportToken, EncryptedKeyMaterial, ...(how.ValidTo === undefined && forEver), ...how };
}

async function importIt(material: Uint8Array, how: How = {}, region = east): Promise<string> {
  const request = await requestOf(material, how, region);
  return (await frontend.call(ImportKeyMaterial, request, { region })).KeyMaterialId!;
}

async function importRefusal(material: Uint8Array, how: How = {}, region = east): Promise<string> {
  return frontend.refusal(ImportKeyMaterial, await requestOf(material, how, region), { region });
}

async function materials(region = east) {
  const request = { KeyId, IncludeKeyMaterial: 'ALL_KEY_MATERIAL' } as const;
  return (await frontend.call(ListKeyRotations, request, { region })).Rotations!;
}

const statesOf = async (region = east) =>
  (await materials(region)).map(({ KeyMaterialState, ImportState }) => `${KeyMaterialState} ${ImportState}`);
const metadata = async (region = east) => (await frontend.call(DescribeKey, { KeyId }, { region })).KeyMetadata!;
const rotate = () => frontend.call(RotateKeyOnDemand, { KeyId });
const encrypt = async (text: string, region = east) =>
  (await frontend.call(Encrypt, { KeyId, Plaintext: Buffer.from(text) }, { region })).CiphertextBlob!;
const decrypt = async (CiphertextBlob: Uint8Array, region = east) =>
  Buffer.from((await frontend.call(Decrypt, { CiphertextBlob }, { region })).Plaintext!).toString();

const nothingPending = () =>
  `KMSInvalidStateException: No available key material pending rotation for the key: ${Arn}.`;

describe('a key with several imported materials', () => {
  test('encrypts under the first until it is rotated to the second, and decrypts under both', async () => {
    const first = await importIt(newMaterial(), { KeyMaterialDescription: 'safe A' });
    const old = await encrypt('old');
    expect(await frontend.refusal(RotateKeyOnDemand, { KeyId })).toBe(nothingPending());
    const second = await importIt(newMaterial(), { ...asNew, KeyMaterialDescription: 'safe B' });
    const common = { KeyId, ImportState: 'IMPORTED', ...forEver };
    const one = { ...common, KeyMaterialId: first, KeyMaterialDescription: 'safe A' };
    const other = { ...common, KeyMaterialId: second, KeyMaterialDescription: 'safe B' };
    expect(await materials()).toEqual([
      { ...one, KeyMaterialState: 'CURRENT' },
      { ...other, KeyMaterialState: 'PENDING_ROTATION' },
    ]);
    expect(await metadata()).toMatchObject({ KeyState: 'Enabled', CurrentKeyMaterialId: first });
    expect(await frontend.call(ListKeyRotations, { KeyId })).toEqual({ Rotations: [], Truncated: false });

    frontend.now += SECOND;
    expect(await rotate()).toEqual({ KeyId: Arn });
    const rotation = {
      ...other,
      KeyMaterialState: 'CURRENT',
      RotationDate: frontend.now,
      RotationType: 'ON_DEMAND',
    };
    expect(await materials()).toEqual([{ ...one, KeyMaterialState: 'NON_CURRENT' }, rotation]);
    expect((await frontend.call(ListKeyRotations, { KeyId })).Rotations).toEqual([rotation]);
    expect(await metadata()).toMatchObject({ CurrentKeyMaterialId: second });
    expect(await decrypt(old)).toBe('old');
    expect(await decrypt(await encrypt('new'))).toBe('new');
    expect(await frontend.refusal(RotateKeyOnDemand, { KeyId })).toBe(nothingPending());
  });

  test('has its rotation recorded by the service, with both ids and the origin', async () => {
    const previousKeyMaterialId = await importIt(newMaterial());
    const currentKeyMaterialId = await importIt(newMaterial(), asNew);
    expect(frontend.lastAudit).toMatchObject({
      eventName: 'ImportKeyMaterial',
      requestParameters: { keyId: KeyId, importType: 'NEW_KEY_MATERIAL' },
      responseElements: { keyId: Arn, keyMaterialId: currentKeyMaterialId },
    });
    await rotate();
    const details = { keyId: KeyId, keyOrigin: 'EXTERNAL', rotationType: 'ON_DEMAND' };
    expect(frontend.serviceEvents.at(-1)).toMatchObject({
      eventName: 'RotateKey',
      serviceEventDetails: { ...details, previousKeyMaterialId, currentKeyMaterialId },
    });
  });

  test('takes one new material at a time, and none that it has as new', async () => {
    const [first, second, third] = [newMaterial(), newMaterial(), newMaterial()];
    await importIt(first, asNew);
    expect(await importRefusal(first, asNew)).toBe('IncorrectKeyMaterialException');
    expect(await importRefusal(second)).toBe('IncorrectKeyMaterialException');
    expect(await importRefusal(second, asExisting)).toBe('IncorrectKeyMaterialException');
    const waiting = await importIt(second, asNew);
    expect(await importRefusal(second, asNew)).toBe('IncorrectKeyMaterialException');
    const refusal = await importRefusal(third, asNew);
    const [, told] = /material \(id: ([0-9a-f]{64})\)/.exec(refusal)!;
    expect(refusal).toBe(
      `KMSInvalidStateException: New key material (id: ${told}) cannot be imported into KMS key ${Arn}, because another key material (id: ${waiting}) is pending rotation.`,
    );
    await rotate();
    expect(await importIt(third, asNew)).toBe(told);
  });

  test('is told by id which material is imported again, and believes only what was unwrapped', async () => {
    const [first, second] = [newMaterial(), newMaterial()];
    const firstId = await importIt(first, { KeyMaterialDescription: 'A' });
    const secondId = await importIt(second, asNew);
    expect(await importRefusal(first, { KeyMaterialId: secondId })).toBe('IncorrectKeyMaterialException');
    expect(await importRefusal(first, { KeyMaterialId: 'a'.repeat(64) })).toBe('IncorrectKeyMaterialException');
    expect(await importRefusal(newMaterial(), { ...asNew, KeyMaterialId: secondId })).toBe(
      'ValidationException: KeyMaterialId is not valid for ImportType NEW_KEY_MATERIAL.',
    );
    const ValidTo = frontend.now + 10 * SECOND;
    expect(await importIt(first, { KeyMaterialId: firstId, ValidTo })).toBe(firstId);
    await importIt(second, { ...asExisting, KeyMaterialDescription: 'B' });
    expect(await materials()).toMatchObject([
      { KeyMaterialDescription: 'A', ExpirationModel: 'KEY_MATERIAL_EXPIRES', ValidTo },
      { KeyMaterialDescription: 'B', KeyMaterialState: 'PENDING_ROTATION', ...forEver },
    ]);
  });

  test('waits for its import while any material that it encrypted with is deleted, and is Enabled with the last of them', async () => {
    const [first, second] = [newMaterial(), newMaterial()];
    const firstId = await importIt(first);
    const blob = await encrypt('x');
    const secondId = await importIt(second, asNew);
    await rotate();
    const deletion = { KeyId, KeyMaterialId: firstId };
    expect(await frontend.call(DeleteImportedKeyMaterial, deletion)).toEqual({ KeyId: Arn, KeyMaterialId: firstId });
    expect(await frontend.call(DeleteImportedKeyMaterial, { KeyId })).toEqual({ KeyId: Arn, KeyMaterialId: secondId });
    const pendingImport = `KMSInvalidStateException: ${Arn} is pending import.`;
    expect(await statesOf()).toEqual(['NON_CURRENT PENDING_IMPORT', 'CURRENT PENDING_IMPORT']);
    await importIt(second);
    expect(await metadata()).toMatchObject({ KeyState: 'PendingImport', CurrentKeyMaterialId: secondId });
    expect(await metadata()).not.toHaveProperty('ExpirationModel');
    expect(await frontend.refusal(Decrypt, { CiphertextBlob: blob })).toBe(pendingImport);
    expect(await frontend.refusal(Encrypt, { KeyId, Plaintext: Buffer.from('x') })).toBe(pendingImport);
    expect(await frontend.refusal(RotateKeyOnDemand, { KeyId })).toBe(pendingImport);
    await importIt(first, { KeyMaterialId: firstId });
    expect(await metadata()).toMatchObject({ KeyState: 'Enabled', ...forEver });
    expect(await decrypt(blob)).toBe('x');
  });

  test('forgets material that waits for a rotation when it is deleted, and stays usable', async () => {
    await importIt(newMaterial());
    const [one, other] = [newMaterial(), newMaterial()];
    const KeyMaterialId = await importIt(one, asNew);
    expect(await frontend.call(DeleteImportedKeyMaterial, { KeyId, KeyMaterialId })).toMatchObject({ KeyMaterialId });
    expect(await statesOf()).toEqual(['CURRENT IMPORTED']);
    expect(await metadata()).toMatchObject({ KeyState: 'Enabled' });
    expect(await frontend.refusal(RotateKeyOnDemand, { KeyId })).toBe(nothingPending());
    await importIt(other, asNew);
    expect(await statesOf()).toEqual(['CURRENT IMPORTED', 'PENDING_ROTATION IMPORTED']);
  });

  test('loses each material on its own date, with an event for each, and shows the first date of those that it needs', async () => {
    const at = (seconds: number) => ({ ValidTo: frontend.now + seconds * SECOND });
    const firstId = await importIt(newMaterial(), at(30));
    const secondId = await importIt(newMaterial(), { ...asNew, ...at(20) });
    await rotate();
    const thirdId = await importIt(newMaterial(), { ...asNew, ...at(10) });
    expect(await metadata()).toMatchObject({ ExpirationModel: 'KEY_MATERIAL_EXPIRES', ...at(20) });
    const expired: unknown[] = [];
    for (let seconds = 1; seconds <= 30; seconds++) {
      frontend.now += SECOND;
      const events = await carryOutAll(frontend);
      expired.push(...events.map(({ eventName, serviceEventDetails }) => [seconds, eventName, serviceEventDetails]));
    }
    const eventAt = (seconds: number, keyMaterialId: string) => [
      seconds,
      'DeleteExpiredKeyMaterial',
      { keyId: KeyId, keyMaterialId },
    ];
    expect(expired).toEqual([eventAt(10, thirdId), eventAt(20, secondId), eventAt(30, firstId)]);
    expect(await statesOf()).toEqual(['NON_CURRENT PENDING_IMPORT', 'CURRENT PENDING_IMPORT']);
  });

  test('is not rotated to material that has expired, whether or not anybody has destroyed it', async () => {
    await importIt(newMaterial());
    await importIt(newMaterial(), { ...asNew, ValidTo: frontend.now + SECOND });
    frontend.now += SECOND;
    expect(await frontend.refusal(RotateKeyOnDemand, { KeyId })).toBe(nothingPending());
    expect(await metadata()).toMatchObject({ KeyState: 'Enabled' });
  });

  test('comes back from a cancelled deletion Disabled, or PendingImport if it lacks any material', async () => {
    const firstId = await importIt(newMaterial());
    await importIt(newMaterial(), asNew);
    await rotate();
    await frontend.call(ScheduleKeyDeletion, { KeyId });
    await frontend.call(CancelKeyDeletion, { KeyId });
    expect(await metadata()).toMatchObject({ KeyState: 'Disabled', ...forEver });
    await frontend.call(ScheduleKeyDeletion, { KeyId });
    await frontend.call(DeleteImportedKeyMaterial, { KeyId, KeyMaterialId: firstId });
    await frontend.call(CancelKeyDeletion, { KeyId });
    expect(await metadata()).toMatchObject({ KeyState: 'PendingImport' });
  });

  test('is rotated 25 times and not once more', async () => {
    await importIt(newMaterial());
    const key = (await frontend.store.findKey(east, KeyId))!;
    const rotated = Array.from({ length: 24 }, (_, i) => {
      const materialId = i.toString(16).padStart(64, '0');
      return { ...key.backingKeys[0]!, materialId, rotation: 'ON_DEMAND' as const };
    });
    await frontend.store.updateKey({ ...key, backingKeys: [...key.backingKeys, ...rotated] });
    await importIt(newMaterial(), asNew);
    await rotate();
    await importIt(newMaterial(), asNew);
    expect(await frontend.refusal(RotateKeyOnDemand, { KeyId })).toMatch(
      /^LimitExceededException: The on-demand rotations limit/,
    );
  });

  test('is a symmetric one: no other is told of types, ids and descriptions', async () => {
    await begin({ KeySpec: 'HMAC_256', KeyUsage: 'GENERATE_VERIFY_MAC' });
    await importIt(newMaterial());
    for (const how of [asNew, asExisting, { KeyMaterialDescription: 'A' }, { KeyMaterialId: 'a'.repeat(64) }]) {
      expect(await importRefusal(newMaterial(), how)).toBe(
        'ValidationException: ImportType, KeyMaterialId and KeyMaterialDescription are not valid for key spec HMAC_256.',
      );
    }
    expect(await importRefusal(newMaterial())).toBe('IncorrectKeyMaterialException');
  });
});

describe('a multi-Region key with several imported materials', () => {
  const [first, second] = [newMaterial(), newMaterial()];
  let firstId: string;
  beforeEach(async () => {
    await begin({ MultiRegion: true });
    firstId = await importIt(first);
    await frontend.call(ReplicateKey, { KeyId, ReplicaRegion: west });
    await importIt(first, {}, west);
  });

  test('is rotated at the primary once every Region has the new material', async () => {
    const secondId = await importIt(second, { ...asNew, KeyMaterialDescription: 'safe B' });
    const waiting = { KeyMaterialId: secondId, KeyMaterialState: 'PENDING_MULTI_REGION_IMPORT_AND_ROTATION' };
    expect((await materials())[1]).toMatchObject({ ...waiting, ImportState: 'IMPORTED' });
    const told = { ...waiting, ImportState: 'PENDING_IMPORT', KeyMaterialDescription: 'safe B' };
    expect((await materials(west))[1]).toEqual({ KeyId, ...told });
    expect(await metadata(west)).toMatchObject({ KeyState: 'Enabled', CurrentKeyMaterialId: firstId });
    expect(await frontend.refusal(RotateKeyOnDemand, { KeyId })).toBe(nothingPending());

    expect(await importIt(second, asExisting, west)).toBe(secondId);
    for (const region of [east, west]) expect((await materials(region))[1]!.KeyMaterialState).toBe('PENDING_ROTATION');
    expect(await frontend.refusal(RotateKeyOnDemand, { KeyId }, { region: west })).toMatch(
      /^UnsupportedOperationException: .* is not a multi-region primary key\.$/,
    );
    await rotate();
    for (const region of [east, west]) {
      expect(await metadata(region)).toMatchObject({ KeyState: 'Enabled', CurrentKeyMaterialId: secondId });
      expect(await statesOf(region)).toEqual(['NON_CURRENT IMPORTED', 'CURRENT IMPORTED']);
    }
    expect(await decrypt(await encrypt('x'), west)).toBe('x');
    expect(await decrypt(await encrypt('y', west))).toBe('y');
    const names = frontend.serviceEvents.map(({ eventName, awsRegion }) => `${eventName} ${awsRegion}`);
    expect(names.filter((name) => name.startsWith('RotateKey'))).toEqual([`RotateKey ${east}`]);
  });

  test('takes new material and descriptions at the primary only', async () => {
    const refusal = `UnsupportedOperationException: ${Arn.replace(east, west)} is not a multi-region primary key.`;
    expect(await importRefusal(second, asNew, west)).toBe(refusal);
    expect(await importRefusal(first, { KeyMaterialDescription: 'A' }, west)).toBe(refusal);
    expect(await importRefusal(second, asExisting, west)).toBe('IncorrectKeyMaterialException');
    await importIt(first, { KeyMaterialDescription: 'A' });
    expect((await materials(west))[0]).toMatchObject({ KeyMaterialDescription: 'A', ImportState: 'IMPORTED' });
  });

  test('forgets in every Region what the primary deletes before the rotation; a replica deletes for itself', async () => {
    const KeyMaterialId = await importIt(second, asNew);
    await importIt(second, asExisting, west);
    await frontend.call(DeleteImportedKeyMaterial, { KeyId, KeyMaterialId }, { region: west });
    expect(await statesOf(west)).toEqual([
      'CURRENT IMPORTED',
      'PENDING_MULTI_REGION_IMPORT_AND_ROTATION PENDING_IMPORT',
    ]);
    expect(await metadata(west)).toMatchObject({ KeyState: 'Enabled' });
    expect(await frontend.refusal(RotateKeyOnDemand, { KeyId })).toBe(nothingPending());
    await importIt(second, asExisting, west);
    await frontend.call(DeleteImportedKeyMaterial, { KeyId, KeyMaterialId });
    for (const region of [east, west]) expect(await statesOf(region)).toEqual(['CURRENT IMPORTED']);
  });

  test('forgets in every Region what expires at the primary before the rotation', async () => {
    const waiting = await importIt(second, { ...asNew, ValidTo: frontend.now + 10 * SECOND });
    await importIt(second, asExisting, west);
    frontend.now += 10 * SECOND;
    const events = await carryOutAll(frontend);
    expect(
      events.map(({ eventName, awsRegion, serviceEventDetails: of }) => [eventName, awsRegion, of]),
    ).toContainEqual(['DeleteExpiredKeyMaterial', east, { keyId: KeyId, keyMaterialId: waiting }]);
    for (const region of [east, west]) expect(await statesOf(region)).toEqual(['CURRENT IMPORTED']);
  });

  test('has a new replica wait for every material that it ever encrypted with', async () => {
    const blob = await encrypt('x');
    await importIt(second, asNew);
    await importIt(second, asExisting, west);
    await rotate();
    await frontend.call(ReplicateKey, { KeyId, ReplicaRegion: south });
    expect(await statesOf(south)).toEqual(['NON_CURRENT PENDING_IMPORT', 'CURRENT PENDING_IMPORT']);
    await importIt(second, {}, south);
    expect(await metadata(south)).toMatchObject({ KeyState: 'PendingImport' });
    await importIt(first, {}, south);
    expect(await metadata(south)).toMatchObject({ KeyState: 'Enabled' });
    expect(await decrypt(blob, south)).toBe('x');
  });

  test('rotates where the primary has moved to, and an older record that is restored loses nothing', async () => {
    const before = (await frontend.store.findKey(east, KeyId))!;
    const secondId = await importIt(second, asNew);
    await importIt(second, asExisting, west);
    await rotate();
    // A backup held the primary's record from before and the replica's from after.
    const after = (await frontend.store.findKey(east, KeyId))!;
    await frontend.store.updateKey({ ...before, revision: after.revision });
    await importIt(first, { KeyMaterialDescription: 'A' });
    expect(await metadata()).toMatchObject({ KeyState: 'PendingImport', CurrentKeyMaterialId: secondId });
    await importIt(second);
    expect(await metadata()).toMatchObject({ KeyState: 'Enabled' });

    await frontend.call(UpdatePrimaryRegion, { KeyId, PrimaryRegion: west });
    const third = newMaterial();
    const thirdId = await importIt(third, asNew, west);
    await importIt(third, asExisting, east);
    await frontend.call(RotateKeyOnDemand, { KeyId }, { region: west });
    for (const region of [east, west]) expect(await metadata(region)).toMatchObject({ CurrentKeyMaterialId: thirdId });
  });
});
