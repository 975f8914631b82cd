import { beforeEach, describe, expect, test } from 'vitest';
import { ConflictError } from '../store/store.ts';
import type { IamStore } from './iam-store.ts';
import type { GroupRecord, PolicyRecord, RoleRecord, UserRecord } from './iam-records.ts';

const accountId = '111122223333';
const common = { schemaVersion: 1, revision: 1, accountId, path: '/', createdAt: 5 } as const;

/** A different id for each name. */
function idOf(prefix: string, name: string): string {
  return prefix + name.toUpperCase().padEnd(17, 'A');
}

export function newUser(name: string, overrides: Partial<UserRecord> = {}): UserRecord {
  const permissions = { inline: [], attached: [], groups: [], accessKeys: [], tags: [] };
  return { kind: 'user', ...common, name, id: idOf('AIDA', name), ...permissions, ...overrides };
}

export function newRole(name: string, overrides: Partial<RoleRecord> = {}): RoleRecord {
  const permissions = {
    inline: [],
    attached: [],
    tags: [],
    trustPolicy: '{}',
    description: '',
    maxSessionSeconds: 3600,
  };
  return { kind: 'role', ...common, name, id: idOf('AROA', name), ...permissions, ...overrides };
}

export function newGroup(name: string, overrides: Partial<GroupRecord> = {}): GroupRecord {
  return { kind: 'group', ...common, name, id: idOf('AGPA', name), inline: [], attached: [], ...overrides };
}

export function newPolicy(name: string, document = '{}'): PolicyRecord {
  const versions = [{ versionId: 'v1', document, createdAt: 5 }];
  const rest = { tags: [], description: '', updatedAt: 5, versions, defaultVersionId: 'v1', lastVersion: 1 };
  return { kind: 'policy', ...common, name, id: idOf('ANPA', name), ...rest };
}

const policyArn = (name: string): string => `arn:aws:iam::${accountId}:policy/path/${name}`;

/** What every store of IAM records must do; `open` returns an empty one. */
export function iamStoreContract(open: () => Promise<IamStore>): void {
  let store: IamStore;
  beforeEach(async () => {
    store = await open();
  });

  describe('IAM records', () => {
    test('a record is found as it was stored, by its name in any case, in its own account and kind only', async () => {
      const user = newUser('Alice', {
        tags: [{ key: '__proto__', value: 'ключ' }],
        inline: [{ name: 'a', document: '{}' }],
      });
      expect(await store.insert(user, 9)).toBe('done');
      expect(await store.find(accountId, 'user', 'aLICE')).toEqual(user);
      expect(await store.find(accountId, 'role', 'Alice')).toBeUndefined();
      expect(await store.find('999999999999', 'user', 'Alice')).toBeUndefined();
    });

    test('names are unique within a kind, whatever their case', async () => {
      expect(await store.insert(newUser('alice'), 9)).toBe('done');
      expect(await store.insert(newUser('ALICE'), 9)).toBe('taken');
      expect(await store.insert(newRole('alice'), 9)).toBe('done');
    });

    test('an account has as many as its quota, however many are offered at once', async () => {
      const outcomes = await Promise.all(['a', 'b', 'c', 'd'].map((name) => store.insert(newUser(name), 2)));
      expect(outcomes.toSorted()).toEqual(['done', 'done', 'full', 'full']);
      expect(await store.count(accountId, 'user')).toBe(2);
      expect(await store.count(accountId, 'role')).toBe(0);
    });

    test('the second of two who change what both have read is told', async () => {
      await store.insert(newUser('alice'), 9);
      const read = (await store.find(accountId, 'user', 'alice'))!;
      expect(await store.update({ before: read, record: { ...read, path: '/a/' } })).toBe('done');
      await expect(store.update({ before: read, record: { ...read, path: '/b/' } })).rejects.toThrow(ConflictError);
      await expect(store.remove(read)).rejects.toThrow(ConflictError);
      const found = (await store.find(accountId, 'user', 'alice'))!;
      expect(found).toMatchObject({ path: '/a/', revision: 2 });
      expect(await store.remove(found)).toBe('done');
      expect(await store.find(accountId, 'user', 'alice')).toBeUndefined();
      await expect(store.remove(found)).rejects.toThrow(ConflictError);
      await expect(store.update({ before: found, record: found })).rejects.toThrow(ConflictError);
    });

    test('who changes or removes one that was made anew under its name meanwhile is told', async () => {
      await store.insert(newUser('alice'), 9);
      const read = (await store.find(accountId, 'user', 'alice'))!;
      await store.remove(read);
      const anew = newUser('alice', { id: idOf('AIDA', 'another') });
      await store.insert(anew, 9);
      await expect(store.update({ before: read, record: { ...read, path: '/a/' } })).rejects.toThrow(ConflictError);
      await expect(store.remove(read)).rejects.toThrow(ConflictError);
      expect(await store.find(accountId, 'user', 'alice')).toEqual(anew);
    });

    test('nobody refers to what is not there', async () => {
      expect(await store.insert(newUser('alice', { groups: ['g'] }), 9)).toBe('missing');
      await store.insert(newUser('alice'), 9);
      const alice = (await store.find(accountId, 'user', 'alice'))!;
      for (const change of [{ groups: ['g'] }, { attached: [policyArn('p')] }, { boundary: policyArn('p') }]) {
        expect(await store.update({ before: alice, record: { ...alice, ...change } })).toBe('missing');
      }
      expect(await store.find(accountId, 'user', 'alice')).toEqual(alice);
      const attached = ['arn:aws:iam::aws:policy/AdministratorAccess'];
      expect(await store.update({ before: alice, record: { ...alice, attached } })).toBe('done');
    });

    test('a record that others refer to stays until they no longer do', async () => {
      const [group, policy] = [newGroup('Readers', { attached: [policyArn('Reading')] }), newPolicy('Reading')];
      await store.insert(policy, 9);
      await store.insert(group, 9);
      await store.insert(newUser('alice', { groups: ['readers'], boundary: policyArn('reading') }), 9);
      expect(await store.remove(group)).toBe('linked');
      expect(await store.remove(policy)).toBe('linked');
      const alice = (await store.find(accountId, 'user', 'alice'))!;
      await store.update({ before: alice, record: { ...alice, groups: [] } });
      expect(await store.remove(group)).toBe('done');
      expect(await store.remove(policy)).toBe('linked');
      expect(await store.remove((await store.find(accountId, 'user', 'alice'))!)).toBe('done');
      expect(await store.remove(policy)).toBe('done');
    });

    test('a record can take another name that is free, and is then found by it alone, also by its access keys', async () => {
      const accessKeys = [{ accessKeyId: 'AKIA1', status: 'Active', createdAt: 5 }] as const;
      await store.insert(newGroup('g'), 9);
      await store.insert(newUser('alice', { groups: ['g'], accessKeys }), 9);
      await store.insert(newUser('bob'), 9);
      const alice = (await store.find(accountId, 'user', 'alice'))!;
      expect(await store.update({ before: alice, record: { ...alice, name: 'Bob' } })).toBe('taken');
      expect(await store.update({ before: alice, record: { ...alice, name: 'carol' } })).toBe('done');
      expect(await store.find(accountId, 'user', 'alice')).toBeUndefined();
      expect(await store.find(accountId, 'user', 'carol')).toMatchObject({ id: alice.id, revision: 2 });
      expect((await store.list(accountId, 'user', 9)).items.map(({ name }) => name)).toEqual(['bob', 'carol']);
      expect(await store.listLinks(accountId, 'key/access-key/AKIA1/', 9)).toEqual({ items: ['user/carol'] });
      expect(await store.listLinks(accountId, 'member/group/g/', 9)).toEqual({ items: ['user/carol'] });
      const carol = (await store.find(accountId, 'user', 'carol'))!;
      expect(await store.update({ before: carol, record: { ...carol, name: 'CAROL' } })).toBe('done');
      expect(await store.find(accountId, 'user', 'carol')).toMatchObject({ name: 'CAROL' });
    });

    test('a group takes another name together with all who are in it, or not at all', async () => {
      await store.insert(newGroup('g'), 9);
      await store.insert(newGroup('other'), 9);
      for (const name of ['alice', 'bob']) await store.insert(newUser(name, { groups: ['g', 'other'] }), 9);
      const before = (await store.find(accountId, 'group', 'g'))!;
      const record = { ...before, name: 'h' };
      const members = async (...names: string[]) => {
        const users = await Promise.all(names.map((name) => store.find(accountId, 'user', name)));
        return users.map((user) => ({ before: user!, record: { ...user!, groups: ['h', 'other'] } }));
      };
      await expect(store.update({ before, record })).rejects.toThrow(ConflictError);
      await expect(store.update({ before, record }, ...(await members('alice')))).rejects.toThrow(ConflictError);
      const taken = { before, record: { ...before, name: 'other' } };
      expect(await store.update(taken, ...(await members('alice', 'bob')))).toBe('taken');
      expect(await store.update(...(await members('alice', 'bob')))).toBe('missing');
      const late = await members('alice', 'bob');
      await store.update({ before: late[1]!.before, record: { ...late[1]!.before, path: '/b/' } });
      await expect(store.update({ before, record }, ...late)).rejects.toThrow(ConflictError);
      expect(await store.find(accountId, 'user', 'alice')).toMatchObject({ groups: ['g', 'other'], revision: 1 });

      expect(await store.update({ before, record }, ...(await members('alice', 'bob')))).toBe('done');
      expect(await store.find(accountId, 'group', 'g')).toBeUndefined();
      expect(await store.find(accountId, 'user', 'bob')).toMatchObject({ groups: ['h', 'other'], path: '/b/' });
      const listed = { items: ['user/alice', 'user/bob'] };
      expect(await store.listLinks(accountId, 'member/group/h/', 9)).toEqual(listed);
      expect(await store.listLinks(accountId, 'member/group/g/', 9)).toEqual({ items: [] });
      expect(await store.listLinks(accountId, 'member/group/other/', 9)).toEqual(listed);
      const after = (await store.find(accountId, 'group', 'h'))!;
      expect(after).toMatchObject({ id: before.id, revision: 2 });
      expect(await store.remove(after)).toBe('linked');
    });

    test('lists are in the order of names, each once, however small the page', async () => {
      for (const name of ['b', 'A', 'c', 'a.b']) await store.insert(newUser(name), 9);
      await store.insert(newRole('other'), 9);
      const names: string[] = [];
      let after: string | undefined;
      do {
        const page = await store.list(accountId, 'user', 2, after);
        names.push(...page.items.map(({ name }) => name));
        after = page.next;
      } while (after !== undefined);
      expect(names).toEqual(['A', 'a.b', 'b', 'c']);
    });

    test('the users, roles and groups that refer to a policy or a group are listed', async () => {
      await store.insert(newGroup('g'), 9);
      await store.insert(newGroup('g2'), 9);
      for (const name of ['carol', 'alice', 'bob']) await store.insert(newUser(name, { groups: ['g'] }), 9);
      const first = await store.listLinks(accountId, 'member/group/g/', 2);
      expect(first).toEqual({ items: ['user/alice', 'user/bob'], next: 'user/bob' });
      expect(await store.listLinks(accountId, 'member/group/g/', 2, first.next)).toEqual({ items: ['user/carol'] });
      expect(await store.listLinks(accountId, 'member/group/g2/', 2)).toEqual({ items: [] });
      expect(await store.countLinks(accountId, 'member/group/g/')).toBe(3);
      expect(await store.countLinks(accountId, 'member/group/g2/')).toBe(0);
      const linked = await store.listLinked(accountId, 'member/group/g/', 2);
      expect(linked.items.map(({ name }) => name)).toEqual(['alice', 'bob']);
      const { items: last } = await store.listLinked(accountId, 'member/group/g/', 2, linked.next);
      expect(last).toEqual([await store.find(accountId, 'user', 'carol')]);
    });
  });
}
