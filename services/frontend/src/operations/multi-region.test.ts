import { Encrypt } from '@keyfleet/shared/api/cipher';
import { CancelKeyDeletion, DisableKey, ScheduleKeyDeletion } from '@keyfleet/shared/api/keys';
import { UpdatePrimaryRegion } from '@keyfleet/shared/api/multi-region';
import {
  DisableKeyRotation,
  EnableKeyRotation,
  GetKeyRotationStatus,
  ListKeyRotations,
  RotateKeyOnDemand,
} from '@keyfleet/shared/api/rotation';
import { region, user } from '@keyfleet/test-support/fakes/frontend';
import {
  arnIn,
  decryptIn,
  describeIn,
  encryptIn,
  frontend,
  inWest,
  KeyId,
  keyIn,
  newFrontend,
  replicate,
  south,
  west,
} from '@keyfleet/test-support/fakes/multi-region-key';
import { beforeEach, describe, expect, test } from 'vitest';

const DAY = 86_400_000;

beforeEach(newFrontend);

describe('UpdatePrimaryRegion', () => {
  test('makes the replica the primary, and the primary a replica, in every Region', async () => {
    await replicate();
    await replicate({ ReplicaRegion: south });
    await frontend.call(EnableKeyRotation, { KeyId });
    await frontend.call(UpdatePrimaryRegion, { KeyId, PrimaryRegion: west });
    for (const where of [region, west, south]) {
      expect(await describeIn(where)).toMatchObject({
        KeyState: 'Enabled',
        MultiRegionConfiguration: {
          MultiRegionKeyType: where === west ? 'PRIMARY' : 'REPLICA',
          PrimaryKey: keyIn(west),
          ReplicaKeys: [keyIn(region), keyIn(south)],
        },
      });
    }
    const { KeyRotationEnabled } = await frontend.call(GetKeyRotationStatus, { KeyId }, inWest);
    expect(KeyRotationEnabled).toBe(true);
    await frontend.call(RotateKeyOnDemand, { KeyId }, inWest);
    expect(await decryptIn(region, await encryptIn(west))).toBe(west);
  });

  test('is refused unless there is an enabled replica, and the caller may there, too', async () => {
    const ask = (PrimaryRegion: string, where = {}) =>
      frontend.refusal(UpdatePrimaryRegion, { KeyId, PrimaryRegion }, where);
    expect(await ask(west)).toBe(`NotFoundException: Key '${arnIn(west)}' does not exist`);
    await replicate();
    expect(await ask(region)).toMatch(/^UnsupportedOperationException/);
    expect(await ask(region, inWest)).toBe(
      `UnsupportedOperationException: ${arnIn(west)} is not a multi-region primary key.`,
    );
    const bob = user('bob', {
      policies: [
        JSON.stringify({ Statement: { Effect: 'Allow', Action: 'kms:UpdatePrimaryRegion', Resource: arnIn(region) } }),
      ],
    });
    expect(await ask(west, { caller: bob })).toMatch(new RegExp(`^AccessDeniedException: .*${arnIn(west)}`));
    await frontend.call(DisableKey, { KeyId }, inWest);
    expect(await ask(west)).toBe(`DisabledException: ${arnIn(west)} is disabled.`);
  });
});

describe('rotation', () => {
  beforeEach(async () => {
    await replicate();
  });

  test('on demand reaches every Region', async () => {
    const old = await encryptIn(west);
    await frontend.call(RotateKeyOnDemand, { KeyId });
    expect(await decryptIn(west, await encryptIn(region))).toBe(region);
    expect(await decryptIn(region, await encryptIn(west))).toBe(west);
    expect(await decryptIn(region, old)).toBe(west);
    const here = await frontend.call(ListKeyRotations, { KeyId });
    expect(here.Rotations).toMatchObject([{ RotationType: 'ON_DEMAND', KeyMaterialState: 'CURRENT' }]);
    expect(await frontend.call(ListKeyRotations, { KeyId }, inWest)).toEqual(here);
    expect(frontend.serviceEvents.map(({ eventName, awsRegion }) => [eventName, awsRegion])).toEqual([
      ['SynchronizeMultiRegionKey', west],
      ['SynchronizeMultiRegionKey', west],
      ['RotateKey', region],
    ]);
  });

  test('is done at the primary, and its status is shown everywhere', async () => {
    const refusal = `UnsupportedOperationException: ${arnIn(west)} is not a multi-region primary key.`;
    expect(await frontend.refusal(RotateKeyOnDemand, { KeyId }, inWest)).toBe(refusal);
    expect(await frontend.refusal(EnableKeyRotation, { KeyId }, inWest)).toBe(refusal);
    await frontend.call(EnableKeyRotation, { KeyId, RotationPeriodInDays: 90 });
    const here = await frontend.call(GetKeyRotationStatus, { KeyId });
    expect(here).toMatchObject({ KeyRotationEnabled: true, RotationPeriodInDays: 90 });
    expect(await frontend.call(GetKeyRotationStatus, { KeyId }, inWest)).toEqual({ ...here, KeyId: arnIn(west) });
    expect(await frontend.refusal(DisableKeyRotation, { KeyId }, inWest)).toBe(refusal);
    await frontend.call(DisableKeyRotation, { KeyId });
    expect(await frontend.call(GetKeyRotationStatus, { KeyId }, inWest)).toMatchObject({ KeyRotationEnabled: false });
  });
});

describe('deletion', () => {
  beforeEach(async () => {
    await replicate();
  });

  test('of a primary waits for its replicas, and has no date so far', async () => {
    const answer = await frontend.call(ScheduleKeyDeletion, { KeyId, PendingWindowInDays: 8 });
    expect(answer).toEqual({ KeyId: arnIn(region), KeyState: 'PendingReplicaDeletion', PendingWindowInDays: 8 });
    const metadata = await describeIn(region);
    expect(metadata).toMatchObject({ KeyState: 'PendingReplicaDeletion', PendingDeletionWindowInDays: 8 });
    expect(metadata).not.toHaveProperty('DeletionDate');
    const pending = `KMSInvalidStateException: ${arnIn(region)} is pending deletion.`;
    expect(await frontend.refusal(Encrypt, { KeyId, Plaintext: Buffer.from('x') })).toBe(pending);
    expect(await frontend.refusal(ScheduleKeyDeletion, { KeyId })).toBe(pending);
    expect(await decryptIn(west, await encryptIn(west))).toBe(west);
    await frontend.call(CancelKeyDeletion, { KeyId });
    const cancelled = await describeIn(region);
    expect(cancelled.KeyState).toBe('Disabled');
    expect(cancelled).not.toHaveProperty('PendingDeletionWindowInDays');
  });

  test('of a replica is its own', async () => {
    const answer = await frontend.call(ScheduleKeyDeletion, { KeyId, PendingWindowInDays: 7 }, inWest);
    expect(answer).toMatchObject({ KeyState: 'PendingDeletion', DeletionDate: frontend.now + 7 * DAY });
    expect((await describeIn(region)).KeyState).toBe('Enabled');
    expect((await describeIn(region)).MultiRegionConfiguration?.ReplicaKeys).toEqual([keyIn(west)]);
  });
});
