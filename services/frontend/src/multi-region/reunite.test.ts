import { CancelKeyDeletion, ScheduleKeyDeletion } from '@keyfleet/shared/api/keys';
import { UpdatePrimaryRegion } from '@keyfleet/shared/api/multi-region';
import { EnableKeyRotation, RotateKeyOnDemand } from '@keyfleet/shared/api/rotation';
import { carryOutAll, restoredStore } from '@keyfleet/test-support/fakes/carry-out';
import { region, regions } from '@keyfleet/test-support/fakes/frontend';
import {
  decryptIn,
  encryptIn,
  frontend,
  inSouth,
  inWest,
  KeyId,
  newFrontend,
  replicate,
  south,
  west,
} from '@keyfleet/test-support/fakes/multi-region-key';
import { beforeEach, describe, expect, test } from 'vitest';
import { type KmsKey, multiRegionTypeOf, relatedOf } from '../keys/kms-key.ts';
import { newReplica, sharedChange } from '../keys/multi-region.ts';
import { reunite } from './reunite.ts';
import type { SpreadDeps } from './spread.ts';

const DAY = 86_400_000;
const event = { id: 'e', text: '{}' };

beforeEach(async () => {
  await newFrontend();
  await replicate();
});

const find = async (where: string) => (await frontend.store.findKey(where, KeyId))!;

async function keysThere(): Promise<KmsKey[]> {
  const found = await Promise.all(regions.map(find));
  return found.filter((key) => key !== undefined);
}

/** A restore puts an earlier record back. */
async function putBack(before: KmsKey): Promise<void> {
  const { revision } = await find(before.region);
  await frontend.store.updateKey({ ...before, revision });
}

/** The backup does not have this record. */
async function lose(where: string): Promise<void> {
  const key = await find(where);
  await frontend.store.deleteKey(key, event);
  await frontend.store.forgetEvents(key, [event]);
}

/** As ReplicateKey, cut off after its first write. */
async function beginReplica(): Promise<void> {
  const primary = await find(region);
  const { description, policy, tags } = primary;
  const own = { region: south, createdAt: frontend.now, description, policy, tags };
  await frontend.store.insertKey(newReplica(primary, own));
}

async function restore(): Promise<void> {
  const store = restoredStore(frontend.store, await keysThere());
  frontend.now += 60_000;
  await carryOutAll(frontend, { store });
  await carryOutAll(frontend, { store });
}

/** Returns the primary's Region. */
async function expectWhole(): Promise<string> {
  const keys = await keysThere();
  const primaries = keys.filter((key) => multiRegionTypeOf(key) === 'PRIMARY');
  expect(primaries).toHaveLength(1);
  const { primary, replicas, spreading } = relatedOf(primaries[0]!);
  expect([primary, ...replicas].toSorted()).toEqual(keys.map((key) => key.region).toSorted());
  expect(spreading).toBeUndefined();
  expect(new Set(keys.map(({ related }) => JSON.stringify(related))).size).toBe(1);
  return primary;
}

/** The backup has eu-west-1's record from before UpdatePrimaryRegion and us-east-1's from after: both are replicas. */
async function leaveNoPrimary(): Promise<void> {
  const before = await find(west);
  await frontend.call(UpdatePrimaryRegion, { KeyId, PrimaryRegion: west });
  await putBack(before);
}

function depsWith(findKey: SpreadDeps['keys']['findKey'] = (...at) => frontend.store.findKey(...at)): SpreadDeps {
  const { store } = frontend;
  return {
    keys: { findKey, updateKey: (...change) => store.updateKey(...change), forgetEvents: () => Promise.resolve() },
    clock: { now: () => Date.now() },
    deadline: Date.now() + 60_000,
    serviceEvents: { record: () => Promise.resolve(), rotationOf: () => event, synchronizationOf: () => event },
  };
}

describe('after a restore, a key', () => {
  test('without a primary has one: the one whose record is newer', async () => {
    await frontend.call(EnableKeyRotation, { KeyId });
    await leaveNoPrimary();
    const inUse = await encryptIn(west);
    await restore();
    expect(await expectWhole()).toBe(region);
    await frontend.call(RotateKeyOnDemand, { KeyId });
    expect(await decryptIn(region, inUse)).toBe(west);
    expect(await decryptIn(west, await encryptIn(region))).toBe(region);
    expect((await find(west)).automaticRotation).toBeDefined();
  });

  test('without a primary has rather one that is not about to be deleted, and what only the other had', async () => {
    const before = await find(west);
    await frontend.call(RotateKeyOnDemand, { KeyId });
    await frontend.call(EnableKeyRotation, { KeyId });
    const inUse = await encryptIn(region);
    await frontend.call(UpdatePrimaryRegion, { KeyId, PrimaryRegion: west });
    await frontend.call(ScheduleKeyDeletion, { KeyId });
    await putBack(before);
    await restore();
    expect(await expectWhole()).toBe(west);
    expect(await decryptIn(west, inUse)).toBe(region);
    expect((await find(west)).automaticRotation).toBeDefined();
  });

  test('whose primary is not in the backup has another', async () => {
    await lose(region);
    await restore();
    expect(await expectWhole()).toBe(west);
    await frontend.call(RotateKeyOnDemand, { KeyId }, inWest);
  });

  test('completes a replica of which the primary is not in the backup, but another replica', async () => {
    await beginReplica();
    await lose(region);
    await restore();
    expect(await expectWhole()).toBe(west);
    expect(await find(south)).toMatchObject({ state: 'Enabled' });
  });

  test('leaves its place to none that was still being made', async () => {
    await beginReplica();
    await frontend.call(ScheduleKeyDeletion, { KeyId, PendingWindowInDays: 7 }, inSouth);
    for (const where of [region, west]) await lose(where);
    await restore();
    expect(multiRegionTypeOf(await find(south))).toBe('REPLICA');
    frontend.now += 8 * DAY;
    await carryOutAll(frontend);
    expect(await keysThere()).toEqual([]);
  });

  test('does not wait for a replica that is gone', async () => {
    await frontend.call(ScheduleKeyDeletion, { KeyId, PendingWindowInDays: 10 });
    await lose(west);
    await restore();
    expect(await expectWhole()).toBe(region);
    expect(await find(region)).toMatchObject({ state: 'PendingDeletion', deletionDate: frontend.now + 10 * DAY });
  });

  test('has every replica that is there, and rotates it', async () => {
    const before = await find(region);
    await replicate({ ReplicaRegion: south });
    await putBack(before);
    await restore();
    expect(await expectWhole()).toBe(region);
    await frontend.call(RotateKeyOnDemand, { KeyId });
    expect(await decryptIn(south, await encryptIn(region))).toBe(region);
  });

  test('that is deleted as the primary of a replica that it did not know leaves its place to that one', async () => {
    const before = await find(west);
    await frontend.call(ScheduleKeyDeletion, { KeyId, PendingWindowInDays: 7 });
    await frontend.call(ScheduleKeyDeletion, { KeyId, PendingWindowInDays: 7 }, inWest);
    frontend.now += 8 * DAY;
    await carryOutAll(frontend);
    expect(await find(region)).toMatchObject({ state: 'PendingDeletion' });
    await frontend.store.insertKey(before);
    await restore();
    frontend.now += 8 * DAY;
    await carryOutAll(frontend);
    expect(await expectWhole()).toBe(west);
  });

  test('that waited for its replicas as a primary, and is none, is deleted on a date', async () => {
    await frontend.call(ScheduleKeyDeletion, { KeyId, PendingWindowInDays: 7 });
    const waiting = await find(region);
    await frontend.call(CancelKeyDeletion, { KeyId });
    await frontend.store.updateKey({ ...(await find(region)), state: 'Enabled' });
    await frontend.call(UpdatePrimaryRegion, { KeyId, PrimaryRegion: west });
    await putBack(waiting);
    await restore();
    expect(await expectWhole()).toBe(west);
    expect(await find(region)).toMatchObject({ state: 'PendingDeletion', deletionDate: frontend.now + 7 * DAY });
  });
});

test('a key without a primary has one again a day after it should have rotated, also if nobody restored', async () => {
  await frontend.call(EnableKeyRotation, { KeyId, RotationPeriodInDays: 90 });
  await leaveNoPrimary();
  frontend.now += 90 * DAY + 60_000;
  await carryOutAll(frontend);
  frontend.now += DAY;
  await carryOutAll(frontend);
  await expectWhole();
  await carryOutAll(frontend);
  for (const key of await keysThere()) expect(key.backingKeys).toHaveLength(2);
});

test('frontends that come to it at once choose the same primary: of the newest, the first Region', async () => {
  await replicate({ ReplicaRegion: south });
  await leaveNoPrimary();
  const keys = await keysThere();
  await Promise.all([...keys, ...keys].map((key) => reunite(key, regions, depsWith())));
  expect(await expectWhole()).toBe(south);
});

test.each([1, 2])('a change of the primary during %i of its reads is none', async (times) => {
  const before = await find(west);
  await frontend.call(UpdatePrimaryRegion, { KeyId, PrimaryRegion: west });
  const { version } = relatedOf(await find(west));
  let reads = 0;
  const findKey: SpreadDeps['keys']['findKey'] = (where) => (where === west && ++reads <= times ? before : find(where));
  await reunite(await find(region), regions, depsWith(findKey));
  expect(await expectWhole()).toBe(west);
  expect(relatedOf(await find(west)).version).toBe(version);
});

test('a change that is under way is completed first', async () => {
  await frontend.store.updateKey(sharedChange(await find(region), {}, { next: west }));
  await reunite(await find(west), regions, depsWith());
  expect(await expectWhole()).toBe(west);
});

test('a primary that tells the others of a change passes by a newer record that leads to none', async () => {
  const { related, ...rest } = await find(west);
  await frontend.store.updateKey({ ...rest, related: { ...related!, version: 9, primary: south } });
  await frontend.call(EnableKeyRotation, { KeyId });
  expect(await expectWhole()).toBe(region);
});
