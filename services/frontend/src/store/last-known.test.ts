import { beforeEach, expect, test } from 'vitest';
import { CachedGrants } from '../grants/cached-grants.ts';
import type { Grant } from '../grants/grant.ts';
import { newGrant } from '../grants/grant-store.contract.ts';
import { MemoryGrantStore } from '../grants/memory-grant-store.ts';
import { ConflictError, StoreUnavailableError } from './store.ts';
import { LastKnown } from './last-known.ts';
import { MemoryStore } from './memory-store.ts';
import { ReadCache } from './read-cache.ts';
import { newKey } from './store.contract.ts';

let read: () => Promise<void>;
let lastKnown: LastKnown;
const key = newKey();
const grant = newGrant(key);
let readGrants: () => Promise<readonly Grant[]>;
beforeEach(async () => {
  read = async () => {};
  const trust = { trusted: true, epoch: 1, isLastKnown: () => true };
  const cache = <T>() => new ReadCache<T>({ trust, weightOf: () => 1, maxWeight: 9 });
  const store = new MemoryStore();
  await store.insertKey(key);
  const keys = cache<typeof key>();
  await keys.get(`key ${key.region}/${key.keyId}`, async () => ({ ...key, description: 'known' }));
  const findKey = async (region: string, keyId: string) => {
    await read();
    return store.findKey(region, keyId);
  };
  const changes = { ...trust, servesLastKnown: true, listen: () => {} };
  readGrants = async () => [grant];
  const stored = Object.assign(new MemoryGrantStore(async () => true), {
    grantsOf: () => readGrants(),
    find: async () => (await readGrants())[0],
  });
  const grants = new CachedGrants(stored, changes);
  await grants.grantsOf(key, grant.grantee);
  readGrants = async () => [];
  lastKnown = new LastKnown(keys, cache(), { findKey, findAlias: store.findAlias.bind(store) }, grants);
});

test('grants are served as they were last known, and one that a token names is not', async () => {
  const found = await lastKnown.grantsOf(key, grant.grantee);
  expect(found).toEqual([]);
  expect(lastKnown.served).toBe(false);
  readGrants = () => Promise.reject(new StoreUnavailableError('away'));
  expect(await lastKnown.grantsOf(key, grant.grantee)).toEqual([grant]);
  expect(lastKnown.served).toBe(true);
  await expect(lastKnown.find(key, grant.grantId)).rejects.toThrow(StoreUnavailableError);
});

const description = async (keyId = key.keyId) => (await lastKnown.findKey(key.region, keyId))?.description;

test('a store that answers is believed, and nothing counts as served from memory', async () => {
  expect(await description()).toBe(key.description);
  expect(lastKnown.served).toBe(false);
});

test.each([
  ['cannot be reached', () => Promise.reject(new StoreUnavailableError('away'))],
  ['hangs', () => new Promise<void>(() => {})],
])('when the store %s, what is known is served and counts', async (_what, failing) => {
  read = failing;
  const startedAt = performance.now();
  expect(await description()).toBe('known');
  expect(performance.now() - startedAt).toBeLessThan(500);
  expect(lastKnown.served).toBe(true);
});

test('what is not known, or fails for another reason, fails', async () => {
  read = () => Promise.reject(new StoreUnavailableError('away'));
  await expect(description('other')).rejects.toThrow(StoreUnavailableError);
  read = () => Promise.reject(new ConflictError('of another kind'));
  await expect(description()).rejects.toThrow(ConflictError);
  expect(lastKnown.served).toBe(false);
});
