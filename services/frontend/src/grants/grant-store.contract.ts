import { newKeyId } from '@keyfleet/shared/ids';
import { beforeEach, describe, expect, test } from 'vitest';
import type { KmsKey } from '../keys/kms-key.ts';
import { newKey } from '../store/key-store.contract.ts';
import type { KeyStore, Page } from '../store/store.ts';
import type { Grant } from './grant.ts';
import type { GrantQuestion } from './constraints.ts';
import { FEW, type GrantStore, tooMany } from './grant-store.ts';

const bob = 'arn:aws:iam::111122223333:user/bob';
const carol = 'arn:aws:iam::111122223333:user/carol';
let made = 0;

/** A new grant on the key, with an id that sorts after the previous ones. */
export function newGrant({ region, keyId, accountId }: KmsKey, overrides: Partial<Grant> = {}): Grant {
  made += 1;
  return {
    schemaVersion: 1,
    grantId: made.toString(16).padStart(64, '0'),
    region,
    keyId,
    accountId,
    createdAt: 1_700_000_000_000,
    grantee: bob,
    issuingAccount: accountId,
    operations: ['Decrypt', 'Encrypt'],
    constraints: {},
    ...overrides,
  };
}

interface Stores {
  readonly grants: GrantStore;
  readonly keys: Pick<KeyStore, 'insertKey' | 'deleteKey'>;
}

/** What every grant store must do; `open` returns an empty one. */
export function grantStoreContract(open: () => Promise<Stores>): void {
  let { grants, keys }: Partial<Stores> = {};
  let key: KmsKey;
  beforeEach(async () => {
    ({ grants, keys } = await open());
    key = newKey();
    await keys.insertKey(key);
  });
  const store = (): GrantStore => grants!;

  describe('grants', () => {
    test('a grant is found as it was stored, and not after it is removed', async () => {
      const grant = newGrant(key, {
        name: 'n',
        retiring: carol,
        constraints: {
          encryptionContextSubset: [
            ['__proto__', 'x'],
            ['a', 'ключ'],
          ],
          sourceArn: 'arn:aws:s3:::b',
        },
      });
      expect(await store().insert(grant, 9)).toBe('done');
      expect(await store().find(key, grant.grantId)).toEqual(grant);
      expect(await store().find({ ...key, region: 'eu-west-1' }, grant.grantId)).toBeUndefined();
      expect(await store().remove(grant)).toBe(true);
      expect(await store().remove(grant)).toBe(false);
      expect(await store().find(key, grant.grantId)).toBeUndefined();
      expect(await store().list(key, undefined, 9)).toEqual({ items: [] });
      expect(await store().listRetirable(key.region, carol, 9)).toEqual({ items: [] });
    });

    test('a key that is not there has none', async () => {
      expect(await store().insert(newGrant(newKey(), { retiring: carol }), 9)).toBe('gone');
      expect(await store().listRetirable(key.region, carol, 9)).toEqual({ items: [] });
    });

    test('a quota holds for each key, however many ask at once', async () => {
      const all = Array.from({ length: 6 }, () => newGrant(key));
      const outcomes = await Promise.all(all.map((grant) => store().insert(grant, 4)));
      expect(['done', 'full'].map((one) => outcomes.filter((outcome) => outcome === one).length)).toEqual([4, 2]);
      const other = newKey();
      await keys!.insertKey(other);
      expect(await store().insert(newGrant(other), 4)).toBe('done');
    });

    test('one grant by the same name is made, however many equal requests come at once', async () => {
      const constraints = { encryptionContextEquals: [['a', '1'] as const, ['b', '2'] as const] };
      const all = Array.from({ length: 4 }, () => newGrant(key, { name: 'n', constraints }));
      const outcomes = await Promise.all(all.map((grant) => store().insert(grant, 1)));
      const first = all[outcomes.indexOf('done')]!;
      const existing = { existing: first.grantId };
      expect(outcomes.filter((outcome) => outcome !== 'done')).toEqual([existing, existing, existing]);
      // Whatever the order of its members.
      const again = newGrant(key, {
        name: 'n',
        operations: ['Encrypt', 'Decrypt'],
        constraints,
      });
      expect(await store().insert(again, 1)).toEqual(existing);
    });

    test.each<[string, Partial<Grant>]>([
      ['name', { name: 'm' }],
      ['grantee', { grantee: carol }],
      ['retiring principal', { retiring: carol }],
      ['operations', { operations: ['Decrypt'] }],
      ['constraint', { constraints: { encryptionContextEquals: [['a', '2']] } }],
      ['kind of constraint', { constraints: { encryptionContextSubset: [['a', '1']] } }],
    ])('with another %s it is another grant', async (_, changed) => {
      const grant = { name: 'n', constraints: { encryptionContextEquals: [['a', '1'] as const] } };
      await store().insert(newGrant(key, grant), 9);
      expect(await store().insert(newGrant(key, { ...grant, ...changed }), 9)).toBe('done');
    });

    test('without a name each is a grant of its own, and a name is free again when its grant is gone', async () => {
      expect(await store().insert(newGrant(key), 9)).toBe('done');
      expect(await store().insert(newGrant(key), 9)).toBe('done');
      const named = newGrant(key, { name: 'n' });
      await store().insert(named, 9);
      await store().remove(named);
      expect(await store().insert(newGrant(key, { name: 'n' }), 9)).toBe('done');
    });

    test('lists of a key or of one of its grantees continue where a page ended', async () => {
      const other = newKey();
      await keys!.insertKey(other);
      const mine = Array.from({ length: 5 }, () => newGrant(key));
      // A grantee whose name begins with the other's.
      const theirs = [newGrant(key, { grantee: `${bob}by` }), newGrant(other)];
      for (const grant of [...mine, ...theirs]) await store().insert(grant, 9);
      const idsOf = (grantee?: string) => allIds((after) => store().list(key, grantee, 2, after));
      expect(await idsOf(bob)).toEqual(mine.map(({ grantId }) => grantId));
      expect(await idsOf()).toEqual([...mine, theirs[0]!].map(({ grantId }) => grantId));
      expect(await idsOf(carol)).toEqual([]);
      expect(await store().grantsOf(key, bob)).toEqual(mine);
      expect(await store().grantsOf(key, carol)).toEqual([]);
    });

    test('of many grants to one principal only those are read that may allow the request', async () => {
      const volumes = Array.from({ length: FEW + 9 }, (_, i) =>
        newGrant(key, { constraints: { encryptionContextSubset: [['volume', `${i}`]] } }),
      );
      const exact = newGrant(key, { constraints: { encryptionContextEquals: [['a', '1']] } });
      const describing = newGrant(key, { operations: ['DescribeKey'], constraints: volumes[0]!.constraints });
      const theirs = newGrant(key, { grantee: carol, constraints: volumes[7]!.constraints });
      for (const grant of [...volumes, exact, describing, theirs]) await store().insert(grant, 1_000);
      expect(await store().grantsOf(key, bob)).toBe(tooMany);
      expect(await store().grantsOf(key, carol)).toEqual([theirs]);
      const looked = async (question: GrantQuestion) =>
        (await Array.fromAsync(store().candidates(key, bob, question))).flat();
      const encrypt = (encryptionContext?: Record<string, string>): GrantQuestion => ({
        operation: 'Encrypt',
        encryptionContext,
      });
      expect(await looked(encrypt({ volume: '7', more: 'x' }))).toEqual([volumes[7]]);
      expect(await looked(encrypt({ a: '1' }))).toEqual([exact]);
      expect(await looked(encrypt({ a: '1', b: '2' }))).toEqual([]);
      expect(await looked(encrypt())).toEqual([]);
      expect(await looked({ operation: 'DescribeKey' })).toEqual([describing]);
      await store().remove(volumes[7]!);
      expect(await looked(encrypt({ volume: '7' }))).toEqual([]);
      const wide = Object.fromEntries(Array.from({ length: 300 }, (_, i) => [`n${i}`, 'x']));
      expect(await looked(encrypt(wide))).toEqual([]);
      expect(await looked(encrypt({ ...wide, volume: '8' }))).toEqual([volumes[8]]);
    });

    test('they are found however many forms their constraints have, and however many are alike', async () => {
      const bys = Array.from({ length: FEW + 9 }, (_, i) =>
        newGrant(key, {
          constraints: {
            encryptionContextSubset: [
              [`a${i}`, '1'],
              ['z', '1'],
            ],
          },
        }),
      );
      const alike = Array.from({ length: FEW + 9 }, () => newGrant(key));
      for (const grant of [...bys, ...alike]) await store().insert(grant, 1_000);
      const encryptionContext = { z: '1', a3: '1', [`a${FEW + 8}`]: '1', a4: '2' };
      const pages = store().candidates(key, bob, { operation: 'Encrypt', encryptionContext });
      const ids = (await Array.fromAsync(pages)).flat().map(({ grantId }) => grantId);
      const expected = [bys[3]!, bys[FEW + 8]!, ...alike].map(({ grantId }) => grantId);
      expect(ids.toSorted()).toEqual(expected.toSorted());
    });

    test('what a principal may retire is listed over all keys of the Region', async () => {
      const other = newKey({ accountId: '999999999999' });
      const far = newKey({ region: 'eu-west-1' });
      await keys!.insertKey(other);
      await keys!.insertKey(far);
      const retirable = [key, key, other].map((one) => newGrant(one, { retiring: carol }));
      for (const grant of [...retirable, newGrant(key), newGrant(far, { retiring: carol })]) {
        await store().insert(grant, 9);
      }
      const ids = await allIds((after) => store().listRetirable(key.region, carol, 2, after));
      expect(ids.toSorted()).toEqual(retirable.map(({ grantId }) => grantId));
    });

    test('they go with their key, and may be cleared away twice', async () => {
      const other = newKey();
      await keys!.insertKey(other);
      const kept = newGrant(other, { retiring: carol });
      for (const grant of [newGrant(key, { retiring: carol }), newGrant(key), kept]) await store().insert(grant, 9);
      await keys!.deleteKey(key, { id: 'a', text: '{}' });
      for (let i = 0; i < 2; i++) await store().clear(key);
      expect(await store().list(key, undefined, 9)).toEqual({ items: [] });
      expect(await store().list(key, bob, 9)).toEqual({ items: [] });
      expect(await store().listRetirable(key.region, carol, 9)).toEqual({ items: [kept] });
      await store().clear({ region: key.region, keyId: newKeyId(false) });
    });
  });
}

async function allIds(list: (after: string | undefined) => Promise<Page<Grant>>): Promise<string[]> {
  const ids: string[] = [];
  let after: string | undefined;
  do {
    const { items, next } = await list(after);
    ids.push(...items.map(({ grantId }) => grantId));
    after = next;
  } while (after !== undefined);
  return ids;
}
