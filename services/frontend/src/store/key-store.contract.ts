import { newKeyId } from '@keyfleet/shared/ids';
import { dueShardOf } from '@keyfleet/shared/stored/due-entries';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { KmsKey } from '../keys/kms-key.ts';
import { type Alias, type AliasStore, ConflictError, type DueStore, type KeyStore } from './store.ts';

type Store = KeyStore & AliasStore & DueStore;

export const scope = { accountId: '111122223333', region: 'us-east-1' };
let madeAt = 1_700_000_000_000;

/** A new key of the test account, created later than the previous one. */
export function newKey(overrides: Partial<KmsKey> = {}): KmsKey {
  const keyId = newKeyId(overrides.multiRegion ?? false);
  const { region, accountId } = { ...scope, ...overrides };
  madeAt += 1;
  return {
    revision: 1,
    keyId,
    arn: `arn:aws:kms:${region}:${accountId}:key/${keyId}`,
    ...scope,
    keySpec: 'ECC_NIST_P256',
    keyUsage: 'SIGN_VERIFY',
    origin: 'AWS_KMS',
    multiRegion: false,
    description: 'ключ 🔑',
    state: 'Enabled',
    createdAt: madeAt,
    policy: '{}',
    tags: [{ TagKey: 'team', TagValue: '' }],
    backingKeys: [
      {
        materialId: 'ab'.repeat(32),
        token: Buffer.from([0, 255, 128]),
        publicKey: Buffer.from([1]),
        createdAt: madeAt,
      },
    ],
    ...overrides,
  };
}

export function newAlias(name: string, targetKeyId: string): Alias {
  return { name: `alias/${name}`, targetKeyId, createdAt: 1, updatedAt: 1 };
}

/** What every store must do with keys; `open` returns an empty one. */
export function keyStoreContract(open: () => Promise<Store & Partial<AsyncDisposable>>): void {
  let store: Store & Partial<AsyncDisposable>;
  beforeEach(async () => {
    store = await open();
  });
  afterEach(async () => {
    await store[Symbol.asyncDispose]?.();
  });

  describe('keys', () => {
    test('a key is found as it was stored, in its own Region only', async () => {
      const key = newKey({ automaticRotation: { periodInDays: 365, nextDate: 5 }, deletionDate: 6 });
      await store.insertKey(key);
      expect(await store.findKey(key.region, key.keyId)).toEqual(asBytes(key));
      expect(await store.findKey('eu-west-1', key.keyId)).toBeUndefined();
    });

    test('an id is given once', async () => {
      const key = newKey();
      await store.insertKey(key);
      await expect(store.insertKey({ ...key, description: 'other' })).rejects.toThrow(ConflictError);
      expect((await store.findKey(key.region, key.keyId))?.description).toBe(key.description);
    });

    test('the second of two who change what both have read is told', async () => {
      const key = newKey();
      await store.insertKey(key);
      const updated = await store.updateKey({ ...key, state: 'Disabled' });
      expect(updated.revision).toBe(2);
      await expect(store.updateKey({ ...key, description: 'late' })).rejects.toThrow(ConflictError);
      expect(await store.findKey(key.region, key.keyId)).toMatchObject({ revision: 2, state: 'Disabled' });
      await expect(store.updateKey(newKey())).rejects.toThrow(ConflictError);
    });

    test('many changes at once are all made, one after the other', async () => {
      const key = newKey({ description: '' });
      await store.insertKey(key);
      const add = async (): Promise<void> => {
        const current = await store.findKey(key.region, key.keyId);
        if (!current) throw new Error('the key is gone');
        try {
          await store.updateKey({ ...current, description: `${current.description}.` });
        } catch (error) {
          if (!(error instanceof ConflictError)) throw error;
          await add();
        }
      };
      await Promise.all(Array.from({ length: 8 }, add));
      expect(await store.findKey(key.region, key.keyId)).toMatchObject({ description: '........', revision: 9 });
    });

    test('a key is made again under its id once the deletion is recorded, and is not the old one', async () => {
      const key = newKey();
      await store.insertKey(key);
      const last = await store.updateKey(key);
      await store.deleteKey(last, { id: 'a', text: '{}' });
      const again = { ...key, revision: 2_000_000_000_000, createdAt: key.createdAt + 1 };
      await expect(store.insertKey(again)).rejects.toThrow(ConflictError);
      await store.clearTraces(last);
      await store.forgetEvents(last, await store.claimEvents(last, { now: 1, until: 2 }));

      await store.insertKey(again);
      expect((await store.listKeys(key, 10)).items).toEqual([key.keyId]);
      await expect(store.deleteKey(last, { id: 'b', text: '{}' })).rejects.toThrow(ConflictError);
      await expect(store.updateKey(last)).rejects.toThrow(ConflictError);
      await store.updateKey(again);
      expect(await store.findKey(key.region, key.keyId)).toMatchObject({ revision: 2_000_000_000_001 });
    });

    test('a key is deleted with its aliases, and only if nobody changed it', async () => {
      const key = newKey();
      await store.insertKey(key);
      await store.insertAlias(scope, newAlias('a', key.keyId), 50);
      await store.insertAlias(scope, newAlias('b', newKeyId(false)), 50);
      const changed = await store.updateKey(key);
      await expect(store.deleteKey(key, { id: 'a', text: '{}' })).rejects.toThrow(ConflictError);
      expect(await store.findAlias(scope, 'alias/a')).toBeDefined();

      await store.deleteKey(changed, { id: 'a', text: '{}' });
      await store.deleteKey(changed, { id: 'a', text: '{}' });
      expect(await store.findKey(key.region, key.keyId)).toBeUndefined();
      await store.clearTraces(changed);
      expect(await store.findAlias(scope, 'alias/a')).toBeUndefined();
      expect(await store.listKeys(scope, 10)).toEqual({ items: [] });
      expect((await store.listAliases(scope, 10)).items.map(({ name }) => name)).toEqual(['alias/b']);
      await store.clearTraces(changed);
    });

    test('an event is recorded by one of several at once, by another when he is cut off, and then never again', async () => {
      const key = newKey();
      await store.insertKey(key);
      expect(await store.claimEvents(key, { now: 0, until: 100 })).toEqual([]);
      const eventOf = (index: number) => ({ id: `event-${index}`, text: JSON.stringify({ event: index }) });
      await Promise.all(Array.from({ length: 4 }, (_, index) => store.deleteKey(key, eventOf(index))));
      const claims = await Promise.allSettled(
        Array.from({ length: 4 }, () => store.claimEvents(key, { now: 0, until: 100 })),
      );
      const [claimed, ...others] = claims.filter((claim) => claim.status === 'fulfilled').map(({ value }) => value);
      expect(others).toEqual([]);
      // Of whichever deletion was first.
      expect(claimed).toHaveLength(1);
      expect(Array.from({ length: 4 }, (_, index) => eventOf(index))).toContainEqual(claimed![0]);
      await expect(store.claimEvents(key, { now: 99, until: 199 })).rejects.toThrow(ConflictError);
      expect(await store.claimEvents(key, { now: 100, until: 200 })).toEqual(claimed);
      await store.forgetEvents(key, claimed!);
      expect(await store.claimEvents(key, { now: 300, until: 400 })).toEqual([]);
    });

    test('a change is stored with its event, which others find when its time is over, and only if the change was made', async () => {
      const now = Date.now();
      const until = now + 60_000;
      const key = newKey();
      await store.insertKey(key);
      const found = async () => {
        const { items } = await store.listDue(dueShardOf(key), until, { limit: 1000 });
        return items.filter(({ keyId }) => keyId === key.keyId).length;
      };
      const [first, second] = ['first', 'second'].map((id) => ({ id, text: `{"event":"${id}"}`, until }));
      const changed = await store.updateKey(key, first);
      await expect(store.updateKey(key, { ...second!, id: 'late' })).rejects.toThrow(ConflictError);
      expect(await found()).toBe(1);
      await store.updateKey(changed, second);
      await expect(store.claimEvents(key, { now, until })).rejects.toThrow(ConflictError);
      await store.forgetEvents(key, [first!]);
      expect(await found()).toBe(1);
      const claimed = await store.claimEvents(key, { now: until, until: until + 1 });
      expect(claimed).toEqual([{ id: 'second', text: '{"event":"second"}' }]);
      await store.forgetEvents(key, [second!]);
      expect(await found()).toBe(0);
      expect(await store.claimEvents(key, { now, until })).toEqual([]);
    });

    test('a list continues where a page ended, and ends', async () => {
      const keys = [newKey(), newKey(), newKey(), newKey({ region: 'eu-west-1' })];
      for (const key of keys) await store.insertKey(key);
      const first = await store.listKeys(scope, 2);
      expect(first.items).toHaveLength(2);
      const second = await store.listKeys(scope, 2, first.next);
      expect(second).toEqual({ items: [expect.any(String)] });
      expect(new Set([...first.items, ...second.items])).toEqual(new Set(keys.slice(0, 3).map(({ keyId }) => keyId)));
      expect((await store.listKeys(scope, 3)).next).toBeUndefined();
      expect(await store.countKeys(scope, 1000)).toBe(3);
      await store.insertKey(newKey());
      expect(await store.countKeys(scope, 1000)).toBe(4);
      expect(await store.listKeys({ ...scope, accountId: '999999999999' }, 2)).toEqual({ items: [] });
    });

    test('aliases that a deletion left behind are cleared away by the id of the key alone', async () => {
      const [gone, other] = [newKeyId(false), newKeyId(false)];
      await store.insertAlias(scope, newAlias('a', gone), 50);
      await store.insertAlias(scope, newAlias('b', other), 50);
      for (let i = 0; i < 2; i++) await store.clearTraces({ ...scope, keyId: gone });
      expect((await store.listAliases(scope, 10)).items.map(({ name }) => name)).toEqual(['alias/b']);
      expect(await store.findAlias(scope, 'alias/a')).toBeUndefined();
    });
  });
}

/** Stores return bytes as any kind of Uint8Array. */
export function asBytes(key: KmsKey): object {
  const bytes = (value: Uint8Array | undefined) =>
    value && expect.objectContaining({ length: value.length, 0: value[0] });
  const backingKeys = key.backingKeys.map((k) => ({ ...k, token: bytes(k.token), publicKey: bytes(k.publicKey) }));
  return { ...key, backingKeys };
}
