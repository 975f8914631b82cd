import { KmsException } from '@keyfleet/shared/errors/exceptions';
import { beforeEach, expect, test } from 'vitest';
import { CachedGrants } from '../grants/cached-grants.ts';
import { MemoryGrantStore } from '../grants/memory-grant-store.ts';
import { ConflictError, StoreUnavailableError } from './store.ts';
import { LastKnown } from './last-known.ts';
import { MemoryStore } from './memory-store.ts';
import { ReadCache } from './read-cache.ts';
import { newKey } from './key-store.contract.ts';

let read: () => Promise<void>;
let connected: boolean;
let lastKnown: LastKnown;
const key = newKey();
beforeEach(async () => {
  read = async () => {};
  connected = true;
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
  const changes = {
    ...trust,
    servesLastKnown: true,
    get connected() {
      return connected;
    },
    listen: () => {},
  };
  const grants = new CachedGrants(new MemoryGrantStore(async () => true), changes);
  lastKnown = new LastKnown(keys, cache(), { findKey, findAlias: store.findAlias.bind(store) }, grants, changes);
});

const description = async (keyId = key.keyId) => (await lastKnown.findKey(key.region, keyId))?.description;

test('a store that answers is believed, and nothing counts as served from memory', async () => {
  expect(await description()).toBe(key.description);
  expect(lastKnown.served).toBe(false);
});

test.each([
  ['cannot be reached', () => Promise.reject(new StoreUnavailableError('away'))],
  ['hangs', () => new Promise<void>(() => {})],
  ['may not be asked', () => Promise.reject(new KmsException('ThrottlingException', 'Rate exceeded'))],
])('known records are served, and counted, when the store %s', async (_what, failing) => {
  read = failing;
  expect(await description()).toBe('known');
  expect(lastKnown.served).toBe(true);
});

test('known records are served at once without a connection to the store', async () => {
  connected = false;
  read = () => Promise.reject(new Error('it was asked'));
  expect(await description()).toBe('known');
  expect(lastKnown.served).toBe(true);
});

test('a read fails that is not known, or fails for another reason', async () => {
  read = () => Promise.reject(new StoreUnavailableError('away'));
  await expect(description('other')).rejects.toThrow(StoreUnavailableError);
  read = () => Promise.reject(new ConflictError('of another kind'));
  await expect(description()).rejects.toThrow(ConflictError);
  expect(lastKnown.served).toBe(false);
});
