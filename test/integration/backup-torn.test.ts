import { restoreBackup } from '@keyfleet/cli/backup/restore';
import { takeBackup } from '@keyfleet/cli/backup/take';
import type { Progress } from '@keyfleet/cli/progress';
import type { GroupRecord, UserRecord } from '@keyfleet/frontend/identities/iam-records';
import { newGroup, newUser } from '@keyfleet/frontend/identities/iam-store.contract';
import { RedisIamStore } from '@keyfleet/frontend/identities/redis-iam-store';
import type { RedisClient } from '@keyfleet/shared/redis/connect';
import { systemClock } from '@keyfleet/shared/clock';
import { iamAt } from '@keyfleet/shared/stored/names';
import { useRedis } from '@keyfleet/test-support/redis-fixture';
import { openStore, testMacs } from '@keyfleet/test-support/redis-store';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeEach, expect, test } from 'vitest';

// A backup has each value of another moment; a large hash is read in pages. Who is renamed moves to another field of
// the account's hash: pages may show both, or none.

const { accountId } = newUser('x');
const [records, list, links] = iamAt(accountId);
const progress = { tell: () => {} } as unknown as Progress;
/** Of records of 2 kB: three pages of the hash. */
const USERS = 300;

const redis = useRedis();
let iam: RedisIamStore;
let path: string;
beforeEach(() => {
  iam = new RedisIamStore({ calls: redis.calls, macs: testMacs() });
  const dir = mkdtempSync(join(tmpdir(), 'keyfleet-backup-'));
  path = join(dir, 'backup');
  return () => rmSync(dir, { recursive: true });
});

async function makeUsers(overrides: Partial<UserRecord> = {}): Promise<readonly UserRecord[]> {
  const inline = [{ name: 'p', document: 'x'.repeat(2_000) }];
  const users = Array.from({ length: USERS }, (_, i) => newUser(`u${i}`, { inline, ...overrides }));
  await Promise.all(users.map((user) => iam.insert(user, USERS)));
  return users;
}

/** Calls `change` after each page of the hash, with how many were read. */
function afterEachPage(change: (pages: number) => Promise<unknown>): RedisClient {
  let pages = 0;
  return new Proxy(redis.client, {
    get: (target, member) => {
      const value: unknown = Reflect.get(target, member);
      if (typeof value !== 'function') return value;
      if (member !== 'eval_roBuffer') return value.bind(target) as unknown;
      return async (...args: unknown[]) => {
        const page: unknown = await value.apply(target, args);
        if (args[2] === records && args.includes('page')) await change(++pages);
        return page;
      };
    },
  });
}

const rename = async <R extends UserRecord | GroupRecord>(before: R, name: string, ...members: UserRecord[]) => {
  const renamed = members.map((user) => ({ before: user, record: { ...user, groups: [name] } }));
  await iam.update({ before, record: { ...before, name } }, ...renamed);
};

async function backUpAndRestore(client: RedisClient) {
  const taken = await takeBackup(client, { path, resume: false, progress });
  await redis.client.flushall();
  return { taken, restored: await restoreBackup(redis.client, { path, replicas: 0, progress }) };
}

async function restoredUsers(): Promise<string[]> {
  const { items } = await iam.list(accountId, 'user', 2 * USERS);
  const all = [...items];
  for (let last = all.at(-1); last !== undefined;) {
    const page = await iam.list(accountId, 'user', 2 * USERS, last.name);
    all.push(...page.items);
    last = page.items.at(-1);
  }
  return all.map(({ name }) => name).toSorted();
}

test('users who are renamed while their account is read are restored once each, under the new name', async () => {
  const users = await makeUsers();
  const client = afterEachPage(async (pages) => {
    if (pages === 1) await Promise.all(users.map((user) => rename(user, `new-${user.name}`)));
  });
  const { taken, restored } = await backUpAndRestore(client);
  expect(taken.leftOut).toEqual([]);
  expect(restored.leftOut).toEqual([]);
  expect(await restoredUsers()).toEqual(users.map(({ name }) => `new-${name}`).toSorted());
  expect(restored.renamed.length).toBeGreaterThan(0);
  expect(restored.renamed[0]).toMatch(/^user\/u\d+ of account 111122223333: now user\/new-u\d+$/);
});

test('a group that is renamed while its account is read has all its members after the restore', async () => {
  const group = newGroup('staff');
  await iam.insert(group, 9);
  const users = await makeUsers({ groups: ['staff'] });
  const client = afterEachPage(async (pages) => {
    if (pages === 1) await rename(group, 'crew', ...users);
  });
  const { taken } = await backUpAndRestore(client);
  expect(taken.leftOut).toEqual([]);
  expect((await iam.list(accountId, 'group', 9)).items.map(({ name }) => name)).toEqual(['crew']);
  expect(await redis.client.zcount(links, 0, 0)).toBe(USERS);
  expect(await iam.countLinks(accountId, 'member/group/crew/')).toBe(USERS);
});

test('a user who takes the name of another that is removed meanwhile is restored', async () => {
  const users = await makeUsers();
  const client = afterEachPage(async (pages) => {
    if (pages !== 1) return;
    const [gone, kept] = [users.slice(0, USERS / 2), users.slice(USERS / 2)];
    await Promise.all(gone.map((user) => iam.remove(user)));
    await Promise.all(kept.map((user, i) => rename(user, gone[i]!.name)));
  });
  await backUpAndRestore(client);
  const ids = (await Promise.all((await restoredUsers()).map((name) => iam.find(accountId, 'user', name)))).map(
    (user) => user!.id,
  );
  const kept = users.slice(USERS / 2).map(({ id }) => id);
  expect(kept.filter((id) => !ids.includes(id))).toEqual([]);
});

test('users who are renamed all the while are in the backup all the same; a group that is, is named', async () => {
  const users = await makeUsers();
  await iam.insert(newGroup('staff'), 9);
  const names = new Map(users.map(({ name }) => [name, name]));
  const renaming = (what: 'users' | 'group') =>
    afterEachPage(async (pages) => {
      for (const user of what === 'users' ? users.slice(0, 20) : []) {
        const before = (await iam.find(accountId, 'user', names.get(user.name)!))!;
        names.set(user.name, `${user.name}-${pages}`);
        await rename(before, names.get(user.name)!);
      }
      const [group] = (await iam.list(accountId, 'group', 9)).items;
      if (what === 'group') await rename(group!, `group-${pages}`);
    });
  const { taken } = await backUpAndRestore(renaming('users'));
  expect(taken.leftOut).toEqual([]);
  const unnumbered = (await restoredUsers()).map((name) => name.replace(/-\d+$/, ''));
  expect(unnumbered.toSorted()).toEqual([...names.keys()].toSorted());
  rmSync(path);
  const again = await backUpAndRestore(renaming('group'));
  expect(again.taken.leftOut).toEqual([expect.stringMatching(/^kf:iam:\{111122223333\} \(groups were renamed/)]);
  expect((await iam.list(accountId, 'group', 9)).items).toHaveLength(1);
}, 60_000);

test('an account whose names cannot be followed is in the backup all the same, which says so', async () => {
  const users = await makeUsers();
  await redis.client.del(list);
  await redis.client.set(list, 'x');
  const { taken } = await backUpAndRestore(redis.client);
  expect(taken.leftOut).toEqual([expect.stringContaining(list)]);
  expect(await restoredUsers()).toEqual(users.map(({ name }) => name).toSorted());
});

test('what a restore drops is no difference from the backup when it goes on', async () => {
  const [user, other] = [newUser('alice'), newUser('other')];
  await iam.insert(user, 9);
  await iam.insert(other, 9);
  const former = (await redis.client.hgetBuffer(records, 'user/alice'))!;
  await rename(user, 'anna');
  await openStore({ ...redis, clock: systemClock }).insertAlias(
    { accountId, region: 'r' },
    { name: 'alias/gone', targetKeyId: 'deleted-meanwhile', createdAt: 1, updatedAt: 1 },
    9,
  );
  // As a name that SCAN returned twice.
  await redis.client.hset(records, 'user/alice', former);
  await takeBackup(redis.client, { path, resume: false, progress });
  await redis.client.flushall();
  const dies = new Proxy(redis.client, {
    get: (target, member) => {
      if (member === 'del') return () => Promise.reject(new Error('killed'));
      const value: unknown = Reflect.get(target, member);
      return typeof value === 'function' ? (value.bind(target) as unknown) : value;
    },
  });
  await expect(restoreBackup(dies, { path, replicas: 0, progress })).rejects.toThrow('killed');
  await restoreBackup(redis.client, { path, replicas: 0, progress });
  expect(await restoredUsers()).toEqual(['anna', 'other']);
});
