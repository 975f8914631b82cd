import { Decrypt, Encrypt } from '@keyfleet/shared/api/cipher';
import { DeleteImportedKeyMaterial } from '@keyfleet/shared/api/import';
import { CancelKeyDeletion, ScheduleKeyDeletion } from '@keyfleet/shared/api/keys';
import { ListKeyRotations, RotateKeyOnDemand } from '@keyfleet/shared/api/rotation';
import { carryOutAll } from '@keyfleet/test-support/fakes/carry-out';
import { region as east } from '@keyfleet/test-support/fakes/frontend';
import {
  Arn,
  asExisting,
  asNew,
  begin,
  decrypt,
  encrypt,
  forEver,
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

const SECOND = 1000;

beforeEach(() => begin({}));

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
