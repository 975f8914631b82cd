import { afterEach, beforeEach, expect, test } from 'vitest';
import { asBytes, newKey } from './key-store.contract.ts';
import type { DueStore, KeyStore, LastUsage, LastUsageStore } from './store.ts';

type Store = KeyStore & DueStore & LastUsageStore;

/** What every store must do with the last use of a key; `open` returns an empty one. */
export function lastUsageStoreContract(open: () => Promise<Store & Partial<AsyncDisposable>>): void {
  let store: Store & Partial<AsyncDisposable>;
  beforeEach(async () => {
    store = await open();
  });
  afterEach(async () => {
    await store[Symbol.asyncDispose]?.();
  });

  const usage = (usedAt: number): LastUsage => ({
    operation: 'Encrypt',
    usedAt,
    requestId: `r${usedAt}`,
    eventId: `e${usedAt}`,
  });

  test('the latest use of a key is kept, in whichever order they come', async () => {
    const key = newKey();
    await store.insertKey(key);
    expect(await store.findLastUsage(key.region, key.keyId)).toBeUndefined();
    for (const usedAt of [9, 1_700_000_000_010, 10]) await store.keepLastUsages([{ ...key, usage: usage(usedAt) }]);
    expect(await store.findLastUsage(key.region, key.keyId)).toEqual(usage(1_700_000_000_010));
    expect(await store.findLastUsage('eu-west-1', key.keyId)).toBeUndefined();
  });

  test('of many uses at once each goes to its key, but for those that are older or whose key is gone', async () => {
    const keys = Array.from({ length: 5 }, () => newKey());
    await Promise.all(keys.slice(1).map((key) => store.insertKey(key)));
    await store.keepLastUsages([{ ...keys[1]!, usage: usage(7) }]);
    await store.keepLastUsages(keys.map((key, i) => ({ ...key, usage: usage(i + 1) })));
    const found = await Promise.all(keys.map(({ region, keyId }) => store.findLastUsage(region, keyId)));
    expect(found).toEqual([undefined, usage(7), usage(3), usage(4), usage(5)]);
    expect(await store.findKey(keys[0]!.region, keys[0]!.keyId)).toBeUndefined();
    await store.keepLastUsages([]);
  });

  test('a use changes nothing else of the key, and a change of the key leaves it', async () => {
    const key = newKey();
    await store.insertKey(key);
    await store.keepLastUsages([{ ...key, usage: usage(1) }]);
    expect(await store.findKey(key.region, key.keyId)).toEqual(asBytes(key));
    await store.updateKey({ ...key, state: 'Disabled' });
    expect(await store.findLastUsage(key.region, key.keyId)).toEqual(usage(1));
  });

  test('it goes with the key, and a use that is told too late brings nothing back', async () => {
    const key = newKey();
    await store.insertKey(key);
    await store.keepLastUsages([{ ...key, usage: usage(1) }]);
    await store.deleteKey(key, { id: 'a', text: '{}' });
    await store.keepLastUsages([{ ...key, usage: usage(2) }]);
    expect(await store.findLastUsage(key.region, key.keyId)).toBeUndefined();
    expect(await store.findKey(key.region, key.keyId)).toBeUndefined();
    await store.forgetEvents(key, await store.claimEvents(key, { now: 1, until: 2 }));
    await store.insertKey({ ...key, revision: 2 });
    expect(await store.findLastUsage(key.region, key.keyId)).toBeUndefined();
  });
}
