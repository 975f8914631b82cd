import { newKeyId } from '@keyfleet/shared/ids';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { dueStoreContract } from './due-store.contract.ts';
import { keyStoreContract, newAlias, scope } from './key-store.contract.ts';
import { lastUsageStoreContract } from './last-usage-store.contract.ts';
import {
  type AccessKeyRecord,
  type AccessKeyUseStore,
  type AliasStore,
  ConflictError,
  type DueStore,
  type IdentityStore,
  type KeyStore,
  type LastUsageStore,
} from './store.ts';

type Store = KeyStore & AliasStore & IdentityStore & LastUsageStore & AccessKeyUseStore & DueStore;

export function newAccessKey(accessKeyId: string, accountId: string): AccessKeyRecord {
  const principal = `arn:aws:iam::${accountId}:user/admin`;
  return { accessKeyId, accountId, principal, userId: 'AIDA', token: Buffer.from([0, 200]), policies: ['{}'] };
}

/** What every store must do; `open` returns an empty one. */
export function storeContract(open: () => Promise<Store & Partial<AsyncDisposable>>): void {
  describe('keys of a store', () => keyStoreContract(open));
  describe('keys of a store with a date', () => dueStoreContract(open));
  describe('last usage in a store', () => lastUsageStoreContract(open));

  describe('aliases and identities of a store', () => {
    let store: Store & Partial<AsyncDisposable>;
    beforeEach(async () => {
      store = await open();
    });
    afterEach(async () => {
      await store[Symbol.asyncDispose]?.();
    });

    describe('aliases', () => {
      test('an alias is found, moved and deleted', async () => {
        const alias = newAlias('a', newKeyId(false));
        expect(await store.insertAlias(scope, alias, 50)).toBe('done');
        expect(await store.insertAlias(scope, alias, 50)).toBe('taken');
        expect(await store.findAlias(scope, 'alias/a')).toEqual(alias);
        expect(await store.findAlias({ ...scope, region: 'eu-west-1' }, 'alias/a')).toBeUndefined();

        const moved = { ...alias, targetKeyId: newKeyId(true), updatedAt: 2 };
        const move = { from: alias.targetKeyId, quota: 50 };
        expect(await store.updateAlias(scope, moved, move)).toBe('done');
        expect(await store.findAlias(scope, 'alias/a')).toEqual(moved);
        expect(await store.listAliases(scope, 10, undefined, alias.targetKeyId)).toEqual({ items: [] });
        expect(await store.listAliases(scope, 10, undefined, moved.targetKeyId)).toEqual({ items: [moved] });

        expect(await store.deleteAlias(scope, moved)).toBe(true);
        expect(await store.deleteAlias(scope, moved)).toBe(false);
        expect(await store.updateAlias(scope, moved, move)).toBe('missing');
        expect(await store.listAliases(scope, 10, undefined, moved.targetKeyId)).toEqual({ items: [] });
      });

      test('an alias that has moved meanwhile is neither moved nor deleted', async () => {
        const [first, second, third] = [newKeyId(false), newKeyId(false), newKeyId(false)];
        const alias = newAlias('a', first);
        await store.insertAlias(scope, alias, 50);
        await store.updateAlias(scope, { ...alias, targetKeyId: second }, { from: first, quota: 50 });
        const late = store.updateAlias(scope, { ...alias, targetKeyId: third }, { from: first, quota: 50 });
        await expect(late).rejects.toThrow(ConflictError);
        await expect(store.deleteAlias(scope, alias)).rejects.toThrow(ConflictError);
        expect((await store.findAlias(scope, 'alias/a'))?.targetKeyId).toBe(second);
      });

      test('a quota holds however many ask at once, and an alias may stay where it is', async () => {
        const target = newKeyId(false);
        const aliases = Array.from({ length: 8 }, (_, i) => newAlias(`n${i}`, target));
        const outcomes = await Promise.all(aliases.map((alias) => store.insertAlias(scope, alias, 5)));
        expect(outcomes.filter((outcome) => outcome === 'done')).toHaveLength(5);
        expect(outcomes.filter((outcome) => outcome === 'full')).toHaveLength(3);
        const [kept] = (await store.listAliases(scope, 1)).items;
        const stays = { ...newAlias('', target), name: kept?.name ?? '' };
        expect(await store.updateAlias(scope, stays, { from: target, quota: 5 })).toBe('done');
        const other = newAlias('other', newKeyId(false));
        await store.insertAlias(scope, other, 5);
        const move = { from: other.targetKeyId, quota: 5 };
        expect(await store.updateAlias(scope, newAlias('other', target), move)).toBe('full');
      });

      test('lists are in the order of names, all or those of one key', async () => {
        const [one, two] = [newKeyId(false), newKeyId(false)];
        for (const [name, target] of [
          ['b', one],
          ['a/x', one],
          ['c', two],
          ['a', one],
          ['B', one],
        ] as const) {
          await store.insertAlias(scope, newAlias(name, target), 50);
        }
        const all = await namesOf((after) => store.listAliases(scope, 2, after));
        expect(all).toEqual(['alias/B', 'alias/a', 'alias/a/x', 'alias/b', 'alias/c']);
        const ofOne = await namesOf((after) => store.listAliases(scope, 1, after, one));
        expect(ofOne).toEqual(['alias/B', 'alias/a', 'alias/a/x', 'alias/b']);
      });
    });

    describe('identities', () => {
      test('an access key is found as it was stored', async () => {
        const record = newAccessKey('AKIA1', '111122223333');
        await store.insertAccessKey(record);
        expect(await store.findAccessKey('AKIA1')).toEqual(record);
        expect(await store.findAccessKey('AKIA2')).toBeUndefined();
        await expect(store.insertAccessKey(record)).rejects.toThrow(ConflictError);
        await store.deleteAccessKey('AKIA1');
        expect(await store.findAccessKey('AKIA1')).toBeUndefined();
        await store.deleteAccessKey('AKIA1');
      });

      test('the latest use of an access key is kept, whoever writes last, and goes with the access key', async () => {
        const use = (usedAt: number) => ({ usedAt, service: 'kms', region: 'eu-west-1' }) as const;
        await store.keepAccessKeyUse('AKIA1', use(1));
        expect(await store.findAccessKeyUse('AKIA1')).toBeUndefined();
        await store.insertAccessKey(newAccessKey('AKIA1', '111122223333'));
        for (const usedAt of [9, 1_700_000_000_010, 10]) await store.keepAccessKeyUse('AKIA1', use(usedAt));
        expect(await store.findAccessKeyUse('AKIA1')).toEqual(use(1_700_000_000_010));
        expect(await store.findAccessKey('AKIA1')).toEqual(newAccessKey('AKIA1', '111122223333'));
        await store.deleteAccessKey('AKIA1');
        await store.keepAccessKeyUse('AKIA1', use(1_700_000_000_020));
        expect(await store.findAccessKeyUse('AKIA1')).toBeUndefined();
      });

      test('of an access key only what it says of policies is forgotten', async () => {
        const record = newAccessKey('AKIA1', '111122223333');
        await store.insertAccessKey(record);
        await store.forgetPolicies('AKIA1');
        expect(await store.findAccessKey('AKIA1')).toEqual({ ...record, policies: [] });
        await store.forgetPolicies('AKIA2');
        expect(await store.findAccessKey('AKIA2')).toBeUndefined();
      });

      test('an account begins with one access key, however many are offered at once', async () => {
        expect(await store.findFirstAccessKey('1')).toBeUndefined();
        const offers = ['AKIA1', 'AKIA2', 'AKIA3'].map((id) => store.insertFirstAccessKey(newAccessKey(id, '1')));
        const accepted = await Promise.all(offers);
        expect(accepted.filter(Boolean)).toHaveLength(1);
        const first = await store.findFirstAccessKey('1');
        expect(await store.hasAccount('1')).toBe(true);
        expect(await store.hasAccount('2')).toBe(false);
        expect(first).toEqual(newAccessKey(`AKIA${accepted.indexOf(true) + 1}`, '1'));
        const stored = await Promise.all(['AKIA1', 'AKIA2', 'AKIA3'].map((id) => store.findAccessKey(id)));
        expect(stored.filter((record) => record !== undefined)).toEqual([first]);
        await store.deleteAccessKey(first!.accessKeyId);
        expect(await store.hasAccount('1')).toBe(true);
        expect(await store.findFirstAccessKey('1')).toBeUndefined();
      });
    });
  });
}

async function namesOf(list: (after: string | undefined) => ReturnType<AliasStore['listAliases']>): Promise<string[]> {
  const names: string[] = [];
  let after: string | undefined;
  do {
    const page = await list(after);
    names.push(...page.items.map(({ name }) => name));
    after = page.next;
  } while (after !== undefined);
  return names;
}
