import { Decrypt, ReEncrypt } from '@keyfleet/shared/api/cipher';
import { DeleteImportedKeyMaterial } from '@keyfleet/shared/api/import';
import { ReplicateKey, UpdatePrimaryRegion } from '@keyfleet/shared/api/multi-region';
import { RotateKeyOnDemand } from '@keyfleet/shared/api/rotation';
import { carryOutAll } from '@keyfleet/test-support/fakes/carry-out';
import { region as east } from '@keyfleet/test-support/fakes/frontend';
import {
  Arn,
  asExisting,
  asNew,
  begin,
  decrypt,
  encrypt,
  frontend,
  importIt,
  importRefusal,
  KeyId,
  materials,
  metadata,
  newMaterial,
  nothingPending,
  rotate,
  statesOf,
} from '@keyfleet/test-support/fakes/imported-key';
import { beforeEach, describe, expect, test } from 'vitest';
import { StoreUnavailableError } from '../store/store.ts';

const SECOND = 1000;
const west = 'eu-west-1';
const south = 'ap-south-1';

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

  test('opens nothing under what has expired in a Region, although that was not told of the rotation', async () => {
    await importIt(second, asNew);
    const ValidTo = frontend.now + 30 * SECOND;
    await importIt(second, { ...asExisting, ExpirationModel: 'KEY_MATERIAL_EXPIRES', ValidTo }, west);
    // The frontend that rotates dies when it has written the primary.
    const updateKey = frontend.store.updateKey.bind(frontend.store);
    frontend.store.updateKey = async (key, ...rest) => {
      if (key.region === west) throw new StoreUnavailableError('cut off');
      return updateKey(key, ...rest);
    };
    await expect(rotate()).rejects.toThrow();
    frontend.store.updateKey = updateKey;

    const CiphertextBlob = await encrypt('x');
    frontend.now = ValidTo - 1;
    expect(await decrypt(CiphertextBlob, west)).toBe('x');
    frontend.now = ValidTo;
    const invalid = /^InvalidCiphertextException/;
    expect(await frontend.refusal(Decrypt, { CiphertextBlob }, { region: west })).toMatch(invalid);
    const again = { CiphertextBlob, DestinationKeyId: KeyId };
    expect(await frontend.refusal(ReEncrypt, again, { region: west })).toMatch(invalid);
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
