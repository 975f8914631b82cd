import { DisableKey, EnableKey } from '@keyfleet/shared/api/keys';
import { UpdatePrimaryRegion } from '@keyfleet/shared/api/multi-region';
import { DisableKeyRotation, EnableKeyRotation, RotateKeyOnDemand } from '@keyfleet/shared/api/rotation';
import { region } from '@keyfleet/test-support/fakes/frontend';
import {
  decryptIn,
  encryptIn,
  frontend,
  inWest,
  KeyId,
  newFrontend,
  replicate,
  south,
  takeNewKey,
  west,
} from '@keyfleet/test-support/fakes/multi-region-key';
import { beforeEach, expect, test } from 'vitest';
import { type KmsKey, multiRegionTypeOf, relatedOf } from '../keys/kms-key.ts';
import { sharedChange } from '../keys/multi-region.ts';
import { importKeyMaterial } from '../operations/import.ts';
import { ConflictError, type KeyStore } from '../store/store.ts';
import { spread, type SpreadDeps } from './spread.ts';

beforeEach(async () => {
  await newFrontend();
  await replicate();
});

const find = async (where: string) => (await frontend.store.findKey(where, KeyId))!;

/** As another frontend carries it out. `writes`: how it writes. */
function depsWith(writes: Partial<KeyStore> = {}): SpreadDeps {
  const { store } = frontend;
  const event = { id: 'e', text: '{}' };
  return {
    keys: {
      // As long as a real store takes, at least.
      findKey: (...at) => new Promise((resolve) => setImmediate(() => resolve(store.findKey(...at)))),
      updateKey: (...change) => store.updateKey(...change),
      forgetEvents: () => Promise.resolve(),
      ...writes,
    },
    clock: { now: () => Date.now() },
    deadline: Date.now() + 60_000,
    serviceEvents: { record: () => Promise.resolve(), rotationOf: () => event, synchronizationOf: () => event },
  };
}

async function primaries(): Promise<string[]> {
  const keys = await Promise.all([region, west, south].map(async (where) => frontend.store.findKey(where, KeyId)));
  return keys.flatMap((key) => (key !== undefined && multiRegionTypeOf(key) === 'PRIMARY' ? [key.region] : []));
}

test('a key that is chosen while it is disabled is not enabled until it is passed over: two frontends see the same', async () => {
  await frontend.call(DisableKey, { KeyId }, inWest);
  // Told, it says so itself.
  const chosen = await frontend.store.updateKey(sharedChange(await find(region), {}, { next: west }));
  const reached = Promise.withResolvers<void>();
  const goOn = Promise.withResolvers<void>();
  const slow = spread(
    chosen,
    depsWith({
      async updateKey(key) {
        if (key.region !== region) return frontend.store.updateKey(key);
        reached.resolve();
        await goOn.promise;
        return frontend.store.updateKey(key);
      },
    }),
  );
  await reached.promise;
  const enabling = frontend.call(EnableKey, { KeyId }, inWest);
  const other = spread(await find(region), depsWith());
  await other;
  goOn.resolve();
  await Promise.all([slow, enabling]);
  expect(await primaries()).toEqual([region]);
  expect((await find(west)).state).toBe('Enabled');
  expect(relatedOf(await find(region)).next).toBeUndefined();
});

test('material that would enable a chosen key is not imported until it is passed over, either', async () => {
  const key = await find(west);
  const chosen: KmsKey = { ...key, state: 'PendingImport', related: { ...relatedOf(key), next: west } };
  const call = { key: chosen } as Parameters<typeof importKeyMaterial>[1];
  const importing = async () => importKeyMaterial({} as never, call, {} as never);
  await expect(importing()).rejects.toThrow(ConflictError);
});

/** Both records say that their key is the primary, at one version, as releases before this one could leave them. */
async function leaveTwoPrimaries(): Promise<void> {
  await replicate({ ReplicaRegion: south });
  const [here, there] = [await find(region), await find(west)];
  const replicas = [region, south];
  await frontend.store.updateKey(sharedChange(here, {}, { next: undefined }));
  await frontend.store.updateKey(sharedChange(there, {}, { primary: west, replicas, next: undefined }));
  expect(await primaries()).toEqual([region, west]);
}

test.each([[[region]], [[west]], [[region, west, region]]])(
  'of two primaries at one version one becomes a replica, whoever begins: %j',
  async (beginning) => {
    const inUse = await encryptIn(west);
    await leaveTwoPrimaries();
    const from: KmsKey[] = await Promise.all(beginning.map(find));
    await Promise.all(from.map((key) => spread(key, depsWith())));
    const keys = await Promise.all([region, west, south].map(find));
    expect(await primaries()).toHaveLength(1);
    expect(new Set(keys.map(({ related }) => JSON.stringify(related))).size).toBe(1);
    expect(relatedOf(keys[0]!).spreading).toBeUndefined();
    for (const where of [region, south]) expect(await decryptIn(where, inUse)).toBe(west);
  },
);

test('records that do not come to agree are left to somebody else when the time is over', async () => {
  const unsettled = sharedChange(await find(region), {});
  // Nothing that is written is there afterwards.
  const deps = depsWith({
    findKey: (where) => (where === region ? Promise.resolve(unsettled) : find(where)),
    updateKey: (key) => Promise.resolve(key.region === region ? unsettled : key),
  });
  await expect(spread(unsettled, { ...deps, deadline: Date.now() + 50 })).rejects.toThrow('timed out');
});

/** The primary is restored from before the replica was made and the key rotated. Returns what the replica encrypted. */
async function useUnknownReplica(): Promise<Uint8Array> {
  await takeNewKey();
  const before = await find(region);
  await replicate();
  await frontend.call(RotateKeyOnDemand, { KeyId });
  const inUse = await encryptIn(west);
  await frontend.store.updateKey({ ...before, revision: (await find(region)).revision });
  return inUse;
}

async function changeRotation(times: number): Promise<void> {
  for (let time = 0; time < times; time++) {
    await frontend.call(time % 2 === 0 ? EnableKeyRotation : DisableKeyRotation, { KeyId });
  }
}

test.each([0, 1, 2, 3, 5])(
  'material is not lost that only a replica has which a restored primary does not know, after %i changes',
  async (changes) => {
    const inUse = await useUnknownReplica();
    await changeRotation(changes);
    await expect(replicate()).rejects.toThrow('already exists');
    for (const where of [region, west]) expect(await decryptIn(where, inUse)).toBe(west);
  },
);

test('a primary that was changed later keeps its current material beside what only such a replica has', async () => {
  const inUse = await useUnknownReplica();
  await frontend.call(RotateKeyOnDemand, { KeyId });
  await changeRotation(3);
  const { materialId } = (await find(region)).backingKeys.at(-1)!;
  await expect(replicate()).rejects.toThrow('already exists');
  for (const where of [region, west]) {
    expect((await find(where)).backingKeys.at(-1)).toMatchObject({ materialId });
  }
  expect(await decryptIn(region, inUse)).toBe(west);
});

test('of two primaries, as a restored backup leaves them, neither loses what was made there since', async () => {
  await takeNewKey();
  const before = await find(region);
  await replicate();
  await frontend.call(UpdatePrimaryRegion, { KeyId, PrimaryRegion: west });
  await frontend.store.updateKey({ ...before, revision: (await find(region)).revision });
  await frontend.call(RotateKeyOnDemand, { KeyId });
  const [here, there] = [await encryptIn(region), await encryptIn(west)];
  await frontend.call(EnableKeyRotation, { KeyId }, inWest);
  expect(await primaries()).toEqual([west]);
  for (const where of [region, west]) {
    expect(await decryptIn(where, here)).toBe(region);
    expect(await decryptIn(where, there)).toBe(west);
  }
});

test.each([
  [5_000, 'as it was read'],
  [5_001, 'resealed'],
])('a token that a pass reseals before it is copied, %i ms after it was read, is copied %s', async (ms, how) => {
  const behind = await find(west);
  await frontend.call(RotateKeyOnDemand, { KeyId });
  await frontend.store.updateKey({ ...behind, revision: (await find(west)).revision });
  const primary = await frontend.store.updateKey(sharedChange(await find(region), {}));
  const tokenIn = (key: KmsKey) => Buffer.from(key.backingKeys.at(-1)!.token!).toString('hex');
  const resealed = { ...primary, backingKeys: primary.backingKeys.map((one) => ({ ...one, token: Buffer.of(7) })) };
  let now = Date.now();
  let isPassed = false;
  const findKey = async (where: string) => {
    const found = await find(where);
    if (where === west && !isPassed) {
      // The pass is over both records by now.
      isPassed = true;
      await frontend.store.updateKey(resealed);
      now += ms;
    }
    return found;
  };
  await spread(primary, { ...depsWith({ findKey }), clock: { now: () => now } });
  expect(tokenIn(await find(west))).toBe(tokenIn(how === 'resealed' ? resealed : primary));
});
