import { DUE_SHARDS } from '@keyfleet/shared/due-queue';
import { type DueKey, dueShardOf } from '@keyfleet/shared/stored/due-entries';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { KmsKey } from '../keys/kms-key.ts';
import { newKey, scope } from './key-store.contract.ts';
import type { DueStore, KeyStore } from './store.ts';

type Store = KeyStore & DueStore;

/** What every store must do with keys that have a date; `open` returns an empty one. */
export function dueStoreContract(open: () => Promise<Store & Partial<AsyncDisposable>>): void {
  let store: Store & Partial<AsyncDisposable>;
  beforeEach(async () => {
    store = await open();
  });
  afterEach(async () => {
    await store[Symbol.asyncDispose]?.();
  });

  const date = Date.UTC(2100, 0, 1);
  const dueOf = async (key: KmsKey, until: number): Promise<readonly DueKey[]> => {
    const { items } = await store.listDue(dueShardOf(key), until, { limit: 100 });
    return items.filter(({ keyId }) => keyId === key.keyId);
  };

  test('a key is due from the date of its deletion or rotation on, and not before', async () => {
    const automaticRotation = { periodInDays: 90, nextDate: date };
    const deleted = newKey({ state: 'PendingDeletion', deletionDate: date, automaticRotation });
    const rotated = newKey({ automaticRotation });
    for (const key of [deleted, rotated]) {
      await store.insertKey(key);
      expect(await dueOf(key, date - 1)).toEqual([]);
      const [due, ...more] = await dueOf(key, date);
      expect(due).toMatchObject({ ...scope, keyId: key.keyId });
      expect(more).toEqual([]);
    }
  });

  test('a key that is disabled or has no date is never due, and is again when it is enabled', async () => {
    const automaticRotation = { periodInDays: 90, nextDate: date };
    const key = newKey({ state: 'Disabled', automaticRotation });
    for (const one of [key, newKey()]) {
      await store.insertKey(one);
      expect(await dueOf(one, date * 2)).toEqual([]);
    }
    await store.updateKey({ ...key, state: 'Enabled' });
    expect(await dueOf(key, date)).toHaveLength(1);
  });

  test('however often the date of a key changes, it has one entry', async () => {
    let key = newKey({ automaticRotation: { periodInDays: 90, nextDate: date } });
    await store.insertKey(key);
    for (let day = 1; day <= 20; day++) {
      const automaticRotation = { periodInDays: 90, nextDate: date + (day % 3) };
      key = await store.updateKey({ ...key, automaticRotation });
      if (day % 5 === 0) key = await store.updateKey(key);
    }
    expect(await dueOf(key, date + 1)).toEqual([]);
    const [entry, ...more] = await dueOf(key, date + 2);
    expect([entry?.keyId, more]).toEqual([key.keyId, []]);
    key = await store.updateKey({ ...key, automaticRotation: undefined });
    expect(await dueOf(key, date + 9)).toEqual([]);
    await store.removeDue(dueShardOf(key), entry!);
  });

  test('a failed change of a key leaves no entry behind, and removes none', async () => {
    const key = newKey({ automaticRotation: { periodInDays: 90, nextDate: date } });
    await store.insertKey(key);
    const changes = Array.from({ length: 6 }, () => store.updateKey(key));
    expect((await Promise.allSettled(changes)).filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
    expect(await dueOf(key, date)).toHaveLength(1);
  });

  test('what is left to do of a deletion is kept with its event, and due on its date', async () => {
    const key = newKey();
    await store.insertKey(key);
    const event = { id: 'a', text: '{"a":1}' };
    const later = { id: 'later', text: '{"b":2}', until: date };
    await store.deleteKey(key, event, later);
    expect(await dueOf(key, date - 1)).toEqual([]);
    expect(await dueOf(key, date)).toHaveLength(1);
    const { until, ...kept } = later;
    expect(await store.claimEvents(key, { now: 0, until: 100 })).toEqual(expect.arrayContaining([event, kept]));
    await store.forgetEvents(key, [event]);
    expect(await store.claimEvents(key, { now: until, until: until + 1 })).toEqual([kept]);
    await store.forgetEvents(key, [later]);
    expect(await dueOf(key, date)).toEqual([]);
    expect(await store.claimEvents(key, { now: until, until: until + 1 })).toEqual([]);
  });

  test('removing the entry of a date removes none that another wrote for the same date meanwhile', async () => {
    const automaticRotation = { periodInDays: 90, nextDate: date };
    const key = newKey({ automaticRotation });
    await store.insertKey(key);
    const [seen] = await dueOf(key, date);
    const disabled = await store.updateKey({ ...key, state: 'Disabled' });
    await store.updateKey({ ...disabled, state: 'Enabled' });
    await store.removeDue(dueShardOf(key), seen!);
    expect(await dueOf(key, date)).toHaveLength(1);
  });

  test('a store says what time it is', async () => {
    expect(Math.abs((await store.now()) - Date.now())).toBeLessThan(60_000);
  });

  test('a list continues where a page ended', async () => {
    const all = Array.from({ length: 40 }, () => newKey({ state: 'PendingDeletion', deletionDate: date }));
    for (const key of all) await store.insertKey(key);
    const found: string[] = [];
    for (let shard = 0; shard < DUE_SHARDS; shard++) {
      let after: string | undefined;
      do {
        const page = { limit: 1, ...(after !== undefined && { after }) };
        const { items, next } = await store.listDue(shard, date, page);
        found.push(...items.map(({ keyId }) => keyId));
        after = next;
      } while (after !== undefined);
    }
    expect(found.toSorted()).toEqual(all.map(({ keyId }) => keyId).toSorted());
  });
}
