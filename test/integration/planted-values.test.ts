import { type Restored, restoreBackup } from '@keyfleet/cli/backup/restore';
import { type Taken, takeBackup } from '@keyfleet/cli/backup/take';
import { checkDates, hashesWithDates } from '@keyfleet/cli/doctor/dates';
import type { Progress } from '@keyfleet/cli/progress';
import { RedisParts } from '@keyfleet/frontend/background/reseal-parts';
import { newUser } from '@keyfleet/frontend/identities/iam-store.contract';
import { entryOf, keyIdOf, keyListAt } from '@keyfleet/shared/stored/key-list';
import { pagesOfRecords } from '@keyfleet/cli/records';
import { countTokens } from '@keyfleet/cli/sealed-census';
import { Acknowledged } from '@keyfleet/frontend/store/acknowledged';
import { newKey } from '@keyfleet/frontend/store/key-store.contract';
import { splitOldKeyList } from '@keyfleet/frontend/store/key-lists';
import { newAccessKey } from '@keyfleet/frontend/store/store.contract';
import { RedisFleetSecrets } from '@keyfleet/frontend/store/redis-fleet-secrets';
import { DamagedRecordError } from '@keyfleet/frontend/store/store';
import { RedisGrantStore } from '@keyfleet/frontend/grants/redis-grant-store';
import { RedisIamStore } from '@keyfleet/frontend/identities/redis-iam-store';
import { RedisKeyStores } from '@keyfleet/frontend/key-stores/redis-key-stores';
import { systemClock } from '@keyfleet/shared/clock';
import type { RedisClient } from '@keyfleet/shared/redis/connect';
import { readElements } from '@keyfleet/shared/redis/stored-values';
import { acceptStore, readStoreIdentity } from '@keyfleet/shared/redis/store-identity';
import {
  accessKeyUseAt,
  dueAt,
  iamAt,
  keyAt,
  keysAt,
  recordFenceAt,
  type StoredKind,
  storedValueOf,
  storedValues,
} from '@keyfleet/shared/stored/names';
import { dueKeyOf, dueShardOf } from '@keyfleet/shared/stored/due-entries';
import { useRedis } from '@keyfleet/test-support/redis-fixture';
import { openStore, testMacs } from '@keyfleet/test-support/redis-store';
import { generateKeyPairSync, randomUUID } from 'node:crypto';
import { mkdtempDisposable } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeEach, describe, expect, onTestFinished, test } from 'vitest';

const redis = useRedis();
let client: RedisClient;
beforeEach(() => ({ client } = redis));

const scope = { accountId: '111122223333', region: 'us-east-1' };
const key = newKey();

/** Whoever once wrote to Redis put these there. */
const planted = {
  'a value of another type': async (name: string) => {
    await (storedValueOf(name)!.type === 'string' ? client.hset(name, 'a', 'b') : client.set(name, 'x'));
  },
  'a value that is too long': async (name: string, member: string) => {
    const { type, maxBytes } = storedValueOf(name)!;
    const value = 'x'.repeat(maxBytes + 1);
    if (type === 'string') await client.set(name, value);
    if (type === 'hash') await client.hset(name, member, value);
    if (type === 'list') await client.rpush(name, value);
  },
};

/** Reads a value as frontends do: each of its kinds that requests and frontends' own work read. */
function readers(): [name: string, member: string, read: () => Promise<unknown>][] {
  const { calls, writes } = redis;
  const macs = testMacs();
  const store = openStore({ client, writes, clock: systemClock });
  const deps = { calls, macs, monotonicClock: systemClock, acknowledged: new Acknowledged() };
  const [iam, grants, keyStores] = [new RedisIamStore(deps), new RedisGrantStore(deps), new RedisKeyStores(deps)];
  const secrets = new RedisFleetSecrets(calls);
  const [tag, keyTag] = [`{${scope.accountId}/${scope.region}}`, `{${key.region}/${key.keyId}}`];
  return [
    [keyAt(key.region, key.keyId), 'record', () => store.findKey(key.region, key.keyId)],
    [keyAt(key.region, key.keyId), 'lastUsage', () => store.findLastUsage(key.region, key.keyId)],
    ['kf:access-key:{AKIA1}', '', () => store.findAccessKey('AKIA1')],
    ['kf:access-key-use:{AKIA1}', '', () => store.findAccessKeyUse('AKIA1')],
    ['kf:first-access-key:{1}', '', () => store.findFirstAccessKey('1')],
    ['kf:secret:{record-key-2}', '', () => secrets.findSecret('record-key-2')],
    ['kf:fleet-keys:{session-keys}', 'ab', () => secrets.findFleetKey('session-keys', 'ab')],
    [`kf:aliases:${tag}`, 'alias/a', () => store.findAlias(scope, 'alias/a')],
    [`kf:alias-names:${tag}`, 'alias/a', () => store.listAliases(scope, 10)],
    [`kf:alias-targets:${tag}`, `${key.keyId}/`, () => store.listAliases(scope, 10, undefined, key.keyId)],
    [`kf:keys:{${scope.accountId}/${scope.region}/3}`, '', () => store.listKeys(scope, 10)],
    [`kf:keys:${tag}`, '', () => store.listKeys(scope, 10)],
    [dueAt(3), '!', () => store.listDue(3, Date.now(), { limit: 10 })],
    [`kf:iam:{${scope.accountId}}`, 'user/a', () => iam.find(scope.accountId, 'user', 'a')],
    [`kf:iam-names:{${scope.accountId}}`, 'user/', () => iam.list(scope.accountId, 'user', 10)],
    [`kf:iam-links:{${scope.accountId}}`, 'key/a/', () => iam.listLinks(scope.accountId, 'key/a/', 10)],
    [`kf:grants:${keyTag}`, 'g', () => grants.find(key, 'g')],
    [`kf:grant-index:${keyTag}`, 'id ', () => grants.list(key, undefined, 10)],
    ['kf:retirable:{us-east-1/p}', '', () => grants.listRetirable('us-east-1', 'p', 10)],
    [`kf:key-stores:${tag}`, '', () => keyStores.find(scope)],
  ];
}

describe.each(Object.entries(planted))('%s', (_, plant) => {
  test('is damaged and named, whatever kind it stands in the place of, and is not sent', async () => {
    for (const [name, member, read] of readers()) {
      await client.flushall();
      await plant(name, member);
      if ((await client.exists(name)) === 0) continue;
      const sent = await sentBytes();
      const error = await read().then(
        () => `${name} was read`,
        (reason: unknown) => reason,
      );
      expect(error, name).toBeInstanceOf(DamagedRecordError);
      expect((error as Error).message).toContain(name);
      expect((await sentBytes()) - sent, name).toBeLessThan(8_000);
    }
  });
});

test('what somebody filled beside a record, or in the place of one, is freed apart from the thread that answers', async () => {
  const store = openStore({ client, writes: redis.writes, clock: systemClock });
  const fill = (name: string) => client.hset(name, ...Array.from({ length: 10_000 }, (_, i) => [`f${i}`, 'x']).flat());
  const freed = async () => Number(/lazyfreed_objects:(\d+)/.exec(await client.info('memory'))![1]);
  await store.insertKey(key);
  await store.insertAccessKey(newAccessKey('AKIA1', '1'));
  const steps: [string, () => Promise<unknown>][] = [
    [keyAt(key.region, key.keyId), () => store.deleteKey(key, { id: 'a', text: '{}' })],
    [
      accessKeyUseAt('AKIA1'),
      () => store.keepAccessKeyUse('AKIA1', { usedAt: 1, service: 'kms', region: 'us-east-1' }),
    ],
    [recordFenceAt('0'), () => redis.calls.script('kfRaiseFence', recordFenceAt('0'), 1, 1)],
  ];
  for (const [name, free] of steps) {
    await fill(name);
    const before = await freed();
    await free();
    await expect.poll(async () => (await freed()) - before).toBeGreaterThan(0);
  }
});

const silent = { tell: () => {} } as unknown as Progress;
const kinds = Object.keys(storedValues) as StoredKind[];
const withTokens: StoredKind[] = ['key', 'accessKey', 'firstAccessKey', 'secret', 'keyStores'];
const withRecords: StoredKind[] = [
  'key',
  'accessKey',
  'accessKeyUse',
  'firstAccessKey',
  'keyStores',
  'aliases',
  'iam',
  'grants',
  'events',
];

/** Some name of the kind. */
function nameOf(kind: StoredKind): string {
  return storedValues[kind].name.replaceAll(/<[^>]+>/g, 'x');
}

describe.each(Object.entries(planted))('%s, under a name of each kind,', (_, plant) => {
  beforeEach(async () => {
    await client.set('kf:access-key:{AKIA2}', '{"token":"AA=="}');
    for (const kind of kinds) await plant(nameOf(kind), 'record');
  });

  test('does not keep the command line from reading everything else, and is named', async () => {
    const { damaged } = await countTokens(client, silent);
    expect(damaged.toSorted()).toEqual([...withTokens.map(nameOf), 'kf:access-key:{AKIA2}'].toSorted());
    const pages = await Array.fromAsync(pagesOfRecords(client, redis.calls));
    const found = pages.flatMap(({ records }) => records.map(({ place }) => place.name));
    expect(found).toEqual(['kf:access-key:{AKIA2}']);
    const named = pages.flatMap((page) => page.damaged);
    expect(named).toHaveLength(withRecords.length);
    for (const kind of withRecords) expect(named.join()).toContain(nameOf(kind));
  });
});

/** Takes a backup of what is there, and restores it into an empty Redis. */
async function moved(): Promise<{ taken: Taken; restored: Restored }> {
  await using dir = await mkdtempDisposable(join(tmpdir(), 'keyfleet-backup-'));
  const path = join(dir.path, 'backup');
  const taken = await takeBackup(client, { path, resume: false, progress: silent });
  await client.flushall();
  return { taken, restored: await restoreBackup(client, { path, replicas: 0, progress: silent }) };
}

describe.each(Object.entries(planted))('%s', (_, plant) => {
  test('is in no backup, and ends none', async () => {
    const store = openStore({ client, writes: redis.writes, clock: systemClock });
    await store.insertKey(key);
    const kept = kinds.filter((kind) => storedValues[kind].role === 'kept');
    for (const kind of kept) await plant(nameOf(kind), 'record');
    const { taken, restored } = await moved();
    expect(taken.leftOut).toHaveLength(kept.length);
    for (const kind of kept) expect(taken.leftOut.join()).toContain(nameOf(kind));
    expect(restored).toMatchObject({ values: 1, dangling: [], pendingDeletion: [], leftOut: [] });
    expect(await store.findKey(key.region, key.keyId)).toMatchObject({ keyId: key.keyId });
    expect((await client.keys('*')).filter((name) => kept.some((kind) => name === nameOf(kind)))).toEqual([]);
  });
});

test('names, types and fields that are none of ours end no backup and no restore', async () => {
  const storeId = randomUUID();
  await client.rpush('kf:domain:{test}:tokens', 'token');
  await client.hset('kf:domain:{test}:store', { id: storeId, mark: '999999999999000' });
  await client.hset('kf:domain:{other}:store', 'id', Buffer.from([0xff, 0xfe]));
  await client.set('kf:secret:{record-key-2}', 'x');
  const many = Object.fromEntries(Array.from({ length: 1200 }, (_, i) => [`f${i}`, 'x']));
  await client.hset(`kf:${'n'.repeat(300)}`, many);
  await client.hset('kf:a"b', many);
  await client.zadd('kf:other', 0, 'x');
  await client.xadd('kf:stream', '*', 'a', 'b');
  await client.set('kf:newer:{x}', 'x');
  await client.hset('kf:aliases:{1/r}', '__proto__', 'x');
  const { taken, restored } = await moved();
  expect(taken.leftOut.map((what) => what.split(' ')[0]!).toSorted()).toEqual(
    ['kf:a"b', 'kf:domain:{other}:store', `kf:${'n'.repeat(297)}`, 'kf:other', 'kf:stream'].toSorted(),
  );
  expect(taken.cutOff).toEqual([
    'kf:domain:{test}:tokens (from element 0 on: token 1 does not verify: not a canonical keyfleet/domain-token/1)',
  ]);
  expect(restored.leftOut.toSorted()).toEqual([
    'kf:domain:{test}:tokens (from element 0 on: token 1 does not verify: not a canonical keyfleet/domain-token/1)',
    'kf:newer:{x} (unknown to this release)',
    'kf:secret:{record-key-2} (not a record of this place)',
  ]);
  expect(await client.keys('*')).toEqual(['kf:domain:{test}:store']);
  const { restoredAt, ...store } = await client.hgetall('kf:domain:{test}:store');
  expect(store).toEqual({ id: storeId });
  expect(Number(restoredAt)).toBeGreaterThan(Date.now() - 60_000);
});

test('of a name that is longer than any of ours nobody is sent more than the beginning, and no backup has it', async () => {
  await client.eval("redis.call('SET', 'kf:key:{' .. string.rep('x', 5000000) .. '}', 1)", 0);
  await client.set('kf:access-key:{AKIA1}', '{}');
  const sent = await sentBytes();
  const parts = new RedisParts(client, 'test');
  await client.hset('kf:domain:{test}:reseal:parts:1', { pass: 1, shards: 1, startedAt: 1 });
  const part = await parts.open({ generation: 1, pass: 1, shard: 0, shards: 1 });
  expect(await part!.next({ resealed: 0, remaining: 0 })).toContain('kf:access-key:{AKIA1}');
  expect(await Array.fromAsync(pagesOfRecords(client, redis.calls))).not.toEqual([]);
  const { taken } = await moved();
  expect(taken.leftOut).toEqual([expect.stringMatching(/^kf:key:\{x+ \(no name of Keyfleet's\)$/)]);
  expect((await sentBytes()) - sent).toBeLessThan(100_000);
  expect(await client.keys('kf:access*')).toEqual(['kf:access-key:{AKIA1}']);
});

test('a restore leaves nothing of what somebody put beside the records, and makes the lists from these', async () => {
  const store = openStore({ client, writes: redis.writes, clock: systemClock });
  const deleted = newKey({ state: 'PendingDeletion', deletionDate: Date.now() + 60_000 });
  await store.insertKey(deleted);
  const [name, list] = [keyAt(deleted.region, deleted.keyId), dueAt(dueShardOf(deleted))];
  await client.hset(name, { due: 'x', revision: 0, usedAt: 9e15 });
  await client.del(list);
  await moved();
  const entries = () => client.zrange(list, '-', '+', 'BYLEX');
  const [entry, ...others] = await entries();
  expect(others).toEqual([]);
  expect(dueKeyOf(entry!)).toMatchObject({ keyId: deleted.keyId });
  expect((await client.hkeys(name)).toSorted()).toEqual(['due', 'record', 'revision']);
  await store.updateKey({ ...deleted, state: 'Enabled', deletionDate: undefined });
  expect(await entries()).toEqual([]);
});

test.each(['x', 'nan', '-1', '9999999999', '1e99', 'inf'])(
  '%j is no fence: what is written under a record key is written',
  async (fence) => {
    const store = openStore({ client, writes: redis.writes, clock: systemClock });
    await client.set('kf:record-fence:{0}', fence);
    await store.insertKey(key);
    const secrets = new RedisFleetSecrets(redis.calls);
    await secrets.fenceRecordKeys(2);
    expect(await client.get('kf:record-fence:{0}')).toBe('2');
    await expect(store.insertKey(newKey())).rejects.toThrow('FENCED');
  },
);

test.each(['x', '0', '-3', '9999999999', '1e9'])(
  '%j notes no record key, and the older ones are dropped all the same',
  async (noted) => {
    const secrets = new RedisFleetSecrets(redis.calls);
    for (const number of [1, 2]) await secrets.insertSecret(`record-key-${number}`, Buffer.from('a token'));
    await client.set('kf:record-keys', noted);
    expect(await secrets.findOldestRecordKey()).toBeUndefined();
    await secrets.dropOlderRecordKeys({ oldest: 1, newest: 2 });
    expect(await secrets.findOldestRecordKey()).toBe(2);
    expect(await client.keys('kf:secret:*')).toEqual(['kf:secret:{record-key-2}']);
    await secrets.noteOldestRecordKey(1);
    expect(await secrets.findOldestRecordKey()).toBe(2);
  },
);

describe.each(['x', '9000000000000000', 'nan'])('a date that no frontend wrote, %j,', (date) => {
  test('ends no last use, neither of its key nor of another', async () => {
    const store = openStore({ client, writes: redis.writes, clock: systemClock });
    const [other, strange] = [newKey(), newKey()];
    for (const one of [key, other]) await store.insertKey(one);
    await client.hset(keyAt(key.region, key.keyId), 'usedAt', date);
    await client.set(keyAt(strange.region, strange.keyId), 'x');
    const usage = { operation: 'Encrypt', usedAt: Date.now(), requestId: 'r', eventId: 'e' } as const;
    await store.keepLastUsages([strange, key, other].map(({ region, keyId }) => ({ region, keyId, usage })));
    for (const { region, keyId } of [key, other]) expect(await store.findLastUsage(region, keyId)).toEqual(usage);
  });

  test('ends no last use of an access key', async () => {
    const store = openStore({ client, writes: redis.writes, clock: systemClock });
    await store.insertAccessKey(newAccessKey('AKIA1', '1'));
    const use = { usedAt: Date.now(), service: 'kms', region: 'us-east-1' };
    for (const kept of [`{"usedAt":${date}}`, `{"usedAt":"${date}"}`, '[]', '{"usedAt":{}}']) {
      await client.set('kf:access-key-use:{AKIA1}', kept);
      await store.keepAccessKeyUse('AKIA1', use);
      expect(await store.findAccessKeyUse('AKIA1')).toEqual(use);
    }
  });

  test('keeps nobody from recording what was done to a key', async () => {
    const store = openStore({ client, writes: redis.writes, clock: systemClock });
    await store.insertKey(key);
    await store.deleteKey(key, { id: 'event', text: '{"a":1}' });
    await client.hset(`kf:deletion:{${key.region}/${key.keyId}}`, 'claimedUntil', date);
    const now = Date.now();
    expect(await store.claimEvents(key, { now, until: now + 60_000 })).toEqual([{ id: 'event', text: '{"a":1}' }]);
    await expect(store.claimEvents(key, { now, until: now + 60_000 })).rejects.toThrow('is being recorded');
  });
});

test('a date on which something that lasts is to vanish is named, and goes with a change and with a restore', async () => {
  const store = openStore({ client, writes: redis.writes, clock: systemClock });
  const changed = newKey();
  for (const one of [key, changed]) await store.insertKey(one);
  await store.insertAccessKey(newAccessKey('AKIA1', '1'));
  await client.set('kf:rates:{1/r}', 'x', 'PX', 60_000);
  const names = [key, changed].map(({ region, keyId }) => keyAt(region, keyId));
  const dated = [...names, 'kf:access-key:{AKIA1}', keyListAt(key, key.keyId), 'kf:deletion:{r/x}'];
  await client.hset('kf:deletion:{r/x}', 'a', 'b');
  expect(await checkDates(client, silent)).toBe('nothing that lasts is to vanish');
  for (const name of dated) await client.pexpireat(name, Date.UTC(2100, 0, 1));
  const named = (text: string) => dated.filter((name) => text.includes(`${name} on 2100-01-01`));
  const told = () => checkDates(client, silent).catch((error: Error) => named(error.message));
  expect(await told()).toEqual(dated);
  await store.updateKey(changed);
  expect(await told()).toEqual(dated.filter((name) => name !== names[1]));
  await moved();
  expect(await told()).toBe('nothing that lasts is to vanish');
});

test('hashes in which a field is to vanish are counted', () => {
  expect(hashesWithDates('# Keyspace\r\ndb0:keys=3,expires=0,avg_ttl=0,subexpiry=2\r\n')).toBe(2);
  expect(hashesWithDates('# Keyspace\r\ndb0:keys=3,expires=0,avg_ttl=0\r\n')).toBe(0);
});

test('entries of a list that are too long hide none of the others, and are not sent', async () => {
  const list = dueAt(3);
  const longer = 'x'.repeat(storedValues.due.maxBytes + 1);
  const entries = ['0/r/a/k1', '0/r/a/k2', '0/r/a/k3'];
  for (const entry of ['!', ...entries, '~']) {
    await client.zadd(list, 0, entry);
    for (let i = 0; i < 3; i++) await client.zadd(list, 0, `${entry}${i}${longer}`);
  }
  const sent = await sentBytes();
  const range = { from: '(!', to: '[0/r/a/k9', limit: 2 };
  expect(await redis.calls.entries(list, range)).toEqual(entries.slice(0, 2));
  expect(await redis.calls.entries(list, { ...range, from: `(${entries[1]}` })).toEqual(entries.slice(2));
  expect((await sentBytes()) - sent).toBeLessThan(8_000);
  // Nobody has read those after the range.
  expect(await client.zcard(list)).toBe(5 + 3);
});

const long = Buffer.alloc(4_000_000, 'x');

test.each([
  {
    what: 'entries',
    plant: (i: number) => client.zadd(dueAt(3), 0, Buffer.concat([Buffer.of(i), long])),
    read: () => redis.calls.entries(dueAt(3), { from: '-', to: '+', limit: 17 }),
  },
  {
    what: 'fields',
    plant: (i: number) => client.hset('kf:iam:{1}', i, long),
    read: () => redis.calls.pageOfFields('kf:iam:{1}', { cursor: '0', count: 64 }),
  },
  {
    what: 'elements',
    plant: () => client.rpush('kf:domain:{test}:tokens', long),
    read: () => readElements(client, 'kf:domain:{test}:tokens', 0, 31).catch(() => {}),
  },
])('of $what that are too long Redis copies one at a time', async ({ plant, read }) => {
  const memory = async (name: string): Promise<number> =>
    Number(new RegExp(`${name}:(\\d+)`).exec(await client.info('memory'))![1]);
  for (let i = 0; i < 16; i++) await plant(i);
  const before = await memory('used_memory');
  expect(before).toBeGreaterThan(16 * long.length);
  await read();
  expect((await memory('used_memory_peak')) - before).toBeLessThan(8 * long.length);
});

test.each([900, 50])(
  'Redis reads what is not long in one go: %i of many entries cost it as little as they can',
  async (limit) => {
    const list = dueAt(3);
    const entries = Array.from({ length: 1_000 }, (_, i) => `0/r/a/${'k'.repeat(100)}${1_000 + i}`);
    await client.zadd(list, ...(entries.flatMap((entry) => [0, entry]) as [number, string]));
    await client.config('RESETSTAT');
    expect(await redis.calls.entries(list, { from: '-', to: '+', limit })).toEqual(entries.slice(0, limit));
    expect(await client.info('commandstats')).toContain('cmdstat_zrangebylex:calls=1,');
  },
);

test('entries that are no UTF-8 are removed: nobody reads them for ever, and the others are found', async () => {
  const store = openStore({ client, writes: redis.writes, clock: systemClock });
  const list = dueAt(3);
  for (const byte of [0x80, 0xff]) {
    const others = Array.from({ length: 40 }, (_, i) => Buffer.concat([Buffer.from('0/'), Buffer.from([byte, i])]));
    for (const entry of others) await client.zadd(list, 0, entry);
  }
  const entries = ['0/eu', '0/\u{fffd}', '0/\u{10ffff}'];
  for (const entry of entries) await client.zadd(list, 0, entry);
  const found: string[] = [];
  for (let after: string | undefined = '-', pages = 0; after !== undefined && pages < 9; pages++) {
    const { items, next } = await store.listDue(3, Date.now(), { limit: 2, after });
    found.push(...items.map(({ entry }) => entry));
    after = next;
  }
  expect(found).toEqual(entries);
  expect(await client.zcard(list)).toBe(entries.length);
});

test.each([
  ['none', '[0/r/b', '[0/r/c', 0],
  ['a few', '[0/r/a/k1005', '(0/r/a/k101', 5],
])('a list is not measured for %s of its entries', async (_what, from, to, count) => {
  const list = dueAt(3);
  const entries = Array.from({ length: 1_000 }, (_, i) => `0/r/a/k${1_000 + i}`);
  await client.zadd(list, ...(entries.flatMap((entry) => [0, entry]) as [number, string]));
  await client.config('RESETSTAT');
  expect(await redis.calls.entries(list, { from, to, limit: 900 })).toHaveLength(count);
  expect(await client.info('commandstats')).not.toContain('cmdstat_memory');
});

test('entries with a score, which no frontend writes, hide none of the others', async () => {
  const list = dueAt(3);
  for (const [score, entry] of [[-1, 'zzz'], [0, '0/a'], [0, '0/b'], [5, '0/c']] as const) await client.zadd(list, score, entry); // prettier-ignore
  expect(await redis.calls.entries(list, { from: '-', to: '(1', limit: 9 })).toEqual(['0/a', '0/b', '0/c']);
  expect(await client.zcount(list, 0, 0)).toBe(4);
});

test('hundreds of entries that are no UTF-8 hold up nobody, however few are asked for, and a list of the first release is split', async () => {
  const [list, entries] = [
    keysAt(scope),
    ['1', '2'].map((at) => entryOf({ keyId: randomUUID(), createdAt: Number(at) })),
  ];
  for (const entry of [...entries, ...Array.from({ length: 300 }, (_, i) => Buffer.of(0xff, i >> 8, i))])
    await client.zadd(list, 0, entry);
  expect(await redis.calls.entries(list, { from: `(${entries[1]}`, to: '+', limit: 2 })).toEqual([]);
  await client.zadd(list, 0, Buffer.of(0xff));
  await splitOldKeyList(redis.calls, scope);
  expect(await client.exists(list)).toBe(0);
  for (const entry of entries) expect(await client.zcard(keyListAt(scope, keyIdOf(entry)))).toBeGreaterThan(0);
});

test('a setting of all scripts that somebody changed keeps no user from being changed or removed', async () => {
  const iam = new RedisIamStore({ calls: redis.calls, macs: testMacs() });
  const user = newUser('alice', { groups: [], inline: [{ name: 'all', document: '{}' }] });
  await iam.insert(user, 9);
  await client.eval('cjson.decode_max_depth(1)', 0);
  expect(await iam.update({ before: user, record: { ...user, path: '/a/' } })).toBe('done');
  expect(await iam.remove((await iam.find(user.accountId, 'user', 'alice'))!)).toBe('done');
});

test('a change that meets another type does nothing at all', async () => {
  const store = openStore({ client, writes: redis.writes, clock: systemClock });
  const iam = new RedisIamStore({ calls: redis.calls, macs: testMacs() });
  await store.insertKey(key);
  const user = newUser('alice', { groups: [] });
  await iam.insert(user, 9);
  const [, , links] = iamAt(user.accountId);
  await client.unlink(links);
  for (const name of [`kf:deletion:{${key.region}/${key.keyId}}`, links]) await client.set(name, 'x');
  const event = { id: 'e', text: '{"a":1}' };
  await expect(store.deleteKey(key, event)).rejects.toThrow(DamagedRecordError);
  await expect(store.updateKey(key, { ...event, until: Date.now() + 60_000 })).rejects.toThrow(DamagedRecordError);
  await expect(iam.update({ before: user, record: { ...user, path: '/a/' } })).rejects.toThrow(DamagedRecordError);
  expect(await store.findKey(key.region, key.keyId)).toMatchObject({ revision: key.revision });
  expect(await iam.find(user.accountId, 'user', 'alice')).toMatchObject({ path: '/' });
});

test('a date on which a record is to vanish goes with the next change of it', async () => {
  const store = openStore({ client, writes: redis.writes, clock: systemClock });
  await store.insertKey(key);
  const name = keyAt(key.region, key.keyId);
  await client.pexpire(name, 3_600_000);
  await store.updateKey({ ...key, state: 'Disabled' });
  expect(await client.pttl(name)).toBe(-1);
});

test('while a master holds up writes, as before it hands over, all is read', async () => {
  const { calls } = redis;
  await client.hset('kf:key:{r/k}', 'record', 'x');
  await client.call('CLIENT', 'PAUSE', '20000', 'WRITE');
  onTestFinished(async () => void (await client.call('CLIENT', 'UNPAUSE')));
  expect(await calls.field('kf:key:{r/k}', 'record')).toBe('x');
  expect(await readStoreIdentity(client, 'test')).toMatchObject({ id: '' });
});

test('a store is accepted although somebody put another type in the place of its identity', async () => {
  await client.set('kf:domain:{test}:store', 'x');
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-384' });
  const present = await readStoreIdentity(client, 'test');
  const signer = { operatorId: 'anna', privateKey };
  expect(await acceptStore(client, 'test', { present, acceptedAt: Date.now(), signer })).toBe(1);
  expect((await readStoreIdentity(client, 'test')).id).not.toBe('');
});

test('a list of another type is named by what only counts or writes it', async () => {
  const { calls } = redis;
  const iam = new RedisIamStore({ calls, macs: testMacs() });
  const names = ['kf:iam-names:{1}', 'kf:iam-links:{1}', 'kf:keys:{1/us-east-1/3}', dueAt(3)];
  for (const name of names) await client.set(name, 'x');
  const failed = await Promise.allSettled([
    iam.count('1', 'user'),
    iam.countLinks('1', 'member/'),
    openStore({ client, writes: redis.writes, clock: systemClock }).countKeys({ ...scope, accountId: '1' }, 10),
    calls.write('zadd', dueAt(3), 0, 'x'),
  ]);
  for (const [i, { reason }] of failed.map((one) => one as PromiseRejectedResult).entries()) {
    expect(reason).toBeInstanceOf(DamagedRecordError);
    expect((reason as Error).message).toContain(names[i]);
  }
});

async function sentBytes(): Promise<number> {
  return Number(/total_net_output_bytes:(\d+)/.exec(await client.info('stats'))![1]);
}
