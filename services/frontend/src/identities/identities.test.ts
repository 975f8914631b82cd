import { beforeEach, expect, test } from 'vitest';
import { iamChangeOf } from '../store/change-feed.ts';
import { MemoryStore } from '../store/memory-store.ts';
import { DamagedRecordError, StoreUnavailableError } from '../store/store.ts';
import { newAccessKey } from '../store/store.contract.ts';
import type { ChargedIam } from './iam-store.ts';
import { newUser } from './iam-store.contract.ts';
import type { Recall } from '../store/last-known.ts';
import { AccountVersions } from './account-versions.ts';
import { Identities } from './identities.ts';
import { MemoryIamStore } from './memory-iam-store.ts';

const alice = newUser('alice');
const { accountId } = alice;

class Store extends MemoryIamStore {
  isAway = false;
  override async find(...asked: Parameters<MemoryIamStore['find']>): Promise<never> {
    if (this.isAway) throw new StoreUnavailableError('away');
    return (await super.find(...asked)) as never;
  }
}

let store: Store;
let accessKeys: MemoryStore;
let isHeard: boolean;
let reads: number;
let versions: AccountVersions;
let identities: Identities;
beforeEach(async () => {
  store = new Store();
  isHeard = true;
  await store.insert(alice, 9);
  const changes = {
    epoch: 1,
    connected: false,
    isLastKnown: () => true,
    listen: () => {},
    get trusted() {
      return isHeard;
    },
    get servesLastKnown() {
      return !isHeard;
    },
  };
  accessKeys = new MemoryStore();
  const charged: ChargedIam = (of, use) => {
    expect(of).toBe(accountId);
    reads += 1;
    return use(store);
  };
  versions = new AccountVersions();
  identities = new Identities({ charged, accessKeys, changes, versions, clock: { now: () => 0 } });
  await find(undefined);
  reads = 0;
});

async function find(recall: Recall): Promise<string | undefined> {
  return (await identities.find(accountId, alice, recall))?.record.name;
}

/** As for cryptography while the store does not answer. */
const recall: Recall = { readOr: async (known) => known };

test('while changes are not heard, only a request that may recall is served from memory', async () => {
  expect(await find(recall)).toBe('alice');
  isHeard = false;
  await store.remove(alice);
  expect(await find(recall)).toBe('alice');
  expect(await find(undefined)).toBeUndefined();
  store.isAway = true;
  expect(await find(recall)).toBe('alice');
  await expect(find(undefined)).rejects.toThrow(StoreUnavailableError);
});

test('requests that come together share a read, which is charged once, and one that is cached is not', async () => {
  identities.clear();
  expect(await Promise.all([1, 2, 3].map(() => find(undefined)))).toEqual(['alice', 'alice', 'alice']);
  expect(await find(undefined)).toBe('alice');
  expect(reads).toBe(1);
});

test('who comes after a change was heard shares no read that began before', async () => {
  identities.clear();
  const before = find(undefined);
  await store.remove(alice);
  versions.changed(iamChangeOf(accountId));
  expect(await find(undefined)).toBeUndefined();
  await before;
  expect(reads).toBe(2);
});

test('while changes are not heard, each reads for itself', async () => {
  isHeard = false;
  await Promise.all([1, 2, 3].map(() => find(undefined)));
  expect(reads).toBe(3);
});

test('the record says whose an access key is, whatever links there are', async () => {
  const accessKeyId = 'AKIA1';
  const bob = newUser('bob', { accessKeys: [{ accessKeyId, status: 'Active', createdAt: 5 }] });
  await store.insert(bob, 9);
  const accessKey = { ...newAccessKey(accessKeyId, accountId), userId: bob.id, policies: [] };
  const principal = `arn:aws:iam::${accountId}:user/bob`;
  const owner = async (of: object) => {
    identities.clear();
    return (await identities.ownerOf({ ...accessKey, ...of }, undefined))?.record.name;
  };
  const linked = (...items: string[]) => Object.assign(store, { listLinks: async () => ({ items }) });
  expect(await owner({})).toBe('bob');
  linked('user/!', 'user/alice', 'user/bob');
  expect(await owner({})).toBe('bob');
  linked();
  expect(await owner({ principal })).toBe('bob');
  linked('user/alice');
  expect(await owner({ principal })).toBe('bob');
  expect(await owner({})).toBeUndefined();
  const find = store.find.bind(store);
  store.find = async (...asked) => {
    if (asked[2] === '!') throw new DamagedRecordError('user/! is not authentic');
    return find(...asked);
  };
  linked('user/!', ...Array.from({ length: 50 }, (_, i) => `user/!${i}`), 'user/bob');
  expect(await owner({})).toBe('bob');
  linked('user/!');
  await expect(owner({})).rejects.toThrow('user/! is not authentic');
});

test("where another has the name of an account's first user, the access key keeps what it allows", async () => {
  const accessKey = { ...newAccessKey('AKIA1', accountId), principal: `arn:aws:iam::${accountId}:user/alice` };
  await accessKeys.insertFirstAccessKey(accessKey);
  expect(await identities.ownerOf(accessKey, undefined)).toBeUndefined();
  expect(await accessKeys.findAccessKey('AKIA1')).toEqual(accessKey);
});

test('once changes are heard again, who is gone is gone for everyone', async () => {
  isHeard = false;
  await store.remove(alice);
  isHeard = true;
  identities.clear();
  expect(await find(recall)).toBeUndefined();
});
