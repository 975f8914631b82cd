import { openStore } from '@keyfleet/test-support/redis-store';
import { newUser } from '@keyfleet/frontend/identities/iam-store.contract';
import { newKey } from '@keyfleet/frontend/store/key-store.contract';
import { DUE_SHARDS } from '@keyfleet/shared/due-queue';
import { connectRedis, RedisConfig, untilReady } from '@keyfleet/shared/redis/connect';
import { DurableWrites } from '@keyfleet/shared/redis/durable-writes';
import { keyListsAt } from '@keyfleet/shared/stored/key-list';
import { iamFieldOf } from '@keyfleet/shared/stored/iam';
import { iamAt, keysAt } from '@keyfleet/shared/stored/names';
import { runKeyfleet } from '@keyfleet/test-support/cli';
import { eventually } from '@keyfleet/test-support/fleet';
import { makeAliases, makeKeyRecords } from '@keyfleet/test-support/key-records';
import { watchPeakMemory } from '@keyfleet/test-support/peak-memory';
import { PATIENCE_MS } from '@keyfleet/test-support/redis-client';
import { startRedis, type TestServer } from '@keyfleet/test-support/servers';
import { Redis } from 'ioredis';
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';

const KEYS = 40_000;
const ALIASES = 200_000;
const MAX_RSS = 200e6;
const scope = { accountId: '111122223333', region: 'us-east-1' };
const aliasLists = ['kf:alias-names:{111122223333/us-east-1}', 'kf:alias-targets:{111122223333/us-east-1}'];

const keyLists = keyListsAt(scope).filter((list) => list !== keysAt(scope));

let server: TestServer;
let redis: Redis;
let dir: string;
beforeAll(async () => {
  server = await startRedis();
  redis = new Redis(server.port);
});
afterAll(async () => {
  redis.disconnect();
  await server[Symbol.asyncDispose]();
});
beforeEach(async () => {
  await redis.flushall();
  dir = mkdtempSync(join(tmpdir(), 'keyfleet-backup-'));
  return () => rmSync(dir, { recursive: true });
});

async function listedKeys(): Promise<string[]> {
  const lists = await Promise.all(keyLists.map((list) => redis.zrange(list, '-', '+', 'BYLEX')));
  return lists.flat().toSorted();
}

const from = () => ['--redis', `redis://127.0.0.1:${server.port}`];
const file = () => join(dir, 'backup');

async function expectKeyfleet(...args: string[]): Promise<string> {
  const { exitCode, out, notes } = await runKeyfleet(...args);
  expect({ exitCode, notes: exitCode === 0 ? '' : notes }).toEqual({ exitCode: 0, notes: '' });
  return out;
}
const backup = (...more: string[]) => expectKeyfleet('backup', ...from(), '--out', file(), ...more);
const restore = () => expectKeyfleet('restore', file(), ...from());

/**
 * Runs a process of its own to a good end; the most memory that it ever held, in bytes. Its heap may not grow with the
 * machine: V8 collects late where there is room.
 */
async function peakMemoryOf(...args: string[]): Promise<number> {
  const main = join(import.meta.dirname, '../../packages/cli/src/main.ts');
  const child = spawn(process.execPath, ['--max-old-space-size=64', main, ...args], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  const notes = text(child.stderr);
  using peak = watchPeakMemory(child.pid!);
  const [exitCode] = (await once(child, 'exit')) as [number];
  expect([exitCode, exitCode === 0 ? '' : await notes]).toEqual([0, '']);
  return peak.bytes;
}

test('200,000 aliases and 40,000 keys of one account are backed up and restored in little memory and small commands', async () => {
  await makeKeyRecords(redis, KEYS);
  await makeAliases(redis, ALIASES);
  // Redis ends the connection of a command that is larger, and of one whose answer is.
  await redis.config('SET', 'client-query-buffer-limit', '1mb', 'client-output-buffer-limit', 'normal 8mb 8mb 0');
  const taken = await peakMemoryOf('backup', ...from(), '--out', file());
  await redis.flushall();
  const restored = await peakMemoryOf('restore', file(), ...from());
  expect(Math.max(taken, restored)).toBeLessThan(MAX_RSS);
  // The records and their list, the aliases and their two lists, and nothing else.
  expect(await redis.dbsize()).toBe(KEYS + 1 + keyLists.length + aliasLists.length);
  expect(await Promise.all(aliasLists.map((list) => redis.zcard(list)))).toEqual([ALIASES, ALIASES]);
  const listed = await listedKeys();
  expect([listed.length, listed[0]]).toEqual([KEYS, '018bcfe56800/00000000-0000-4000-8000-000000000000']);
}, 240_000);

test('dozens of accounts with as many users and policies as they may have are backed up in little memory', async () => {
  for (let n = 0; n < 32; n++) {
    const [records, names] = iamAt(`${100_000_000_000 + n}`);
    const users = Array.from({ length: 6_500 }, (_, i) => newUser(`of-${n}-${i}-with-some-twenty-more`));
    const fields = users.map(({ kind, name }) => iamFieldOf(kind, name));
    await redis.hset(records, Object.fromEntries(fields.map((field, i) => [field, JSON.stringify(users[i])])));
    await redis.zadd(names, ...fields.flatMap((field) => [0, field]));
  }
  expect(await peakMemoryOf('backup', ...from(), '--out', file())).toBeLessThan(MAX_RSS);
}, 120_000);

test('lists that were torn apart by a backup are made whole by its restore', async () => {
  await using client = connectRedis(
    RedisConfig.parse({ url: `redis://127.0.0.1:${server.port}` }),
    { onProblem() {} },
    PATIENCE_MS,
  );
  await untilReady(client, PATIENCE_MS);
  const writes = new DurableWrites(client, () => ({ replicas: 0 }));
  const store = openStore({ client, writes, clock: { now: Date.now } });
  const date = Date.now() + 86_400_000;
  const [deleted, rotated, moved, replicated] = [
    newKey({ state: 'PendingDeletion', deletionDate: date }),
    newKey({ automaticRotation: { periodInDays: 90, nextDate: date } }),
    newKey(),
    newKey({ multiRegion: true, related: { version: 1, primary: 'us-east-1', replicas: ['eu-west-1'] } }),
  ];
  const keys = [deleted, rotated, moved, replicated];
  for (const key of keys) await store.insertKey(key);
  for (const [name, targetKeyId] of [
    ['alias/a', rotated.keyId],
    ['alias/gone', 'a-key-deleted-meanwhile'],
  ] as const) {
    await store.insertAlias(scope, { name, targetKeyId, createdAt: 1, updatedAt: 1 }, 50);
  }
  // As each of these was read at another moment.
  for (let shard = 0; shard < DUE_SHARDS; shard++) await redis.del(`kf:due:{${shard}}`);
  await redis.del('kf:alias-names:{111122223333/us-east-1}');
  await redis.zadd('kf:alias-targets:{111122223333/us-east-1}', 0, `${moved.keyId}/alias/a`);
  await redis.del(...keyLists);
  await redis.zadd(keyLists[3]!, 0, '018bcfe56800/a-key-that-is-not-there');

  await backup();
  await redis.flushall();
  expect(await restore()).toContain('1 aliases were left out');

  const { items } = await store.listKeys(scope, 10);
  expect(items.toSorted()).toEqual(keys.map(({ keyId }) => keyId).toSorted());
  const due = await Promise.all(
    Array.from({ length: DUE_SHARDS }, (_, shard) => store.listDue(shard, date, { limit: 10 })),
  );
  const dueKeys = due.flatMap((page) => page.items.map(({ keyId }) => keyId));
  // Nobody knows whether the backup has the other Region's record from the same moment.
  expect(dueKeys.toSorted()).toEqual([deleted.keyId, rotated.keyId, replicated.keyId].toSorted());
  const namesOf = async (keyId?: string) =>
    (await store.listAliases(scope, 10, undefined, keyId)).items.map(({ name }) => name);
  expect([await namesOf(), await namesOf(rotated.keyId), await namesOf(moved.keyId)]).toEqual([
    ['alias/a'],
    ['alias/a'],
    [],
  ]);
  expect(await store.findAlias(scope, 'alias/gone')).toBeUndefined();
});

test('a backup that was cut off goes on where it was, unless Redis is another process now', async () => {
  await makeKeyRecords(redis, 30_000);
  await backup();
  const whole = readFileSync(file(), 'utf8');
  const cutOff = () => {
    rmSync(file(), { force: true });
    writeFileSync(`${file()}.unfinished`, whole);
    truncateSync(`${file()}.unfinished`, whole.length - 10_000);
  };
  cutOff();
  const anew = await runKeyfleet('backup', ...from(), '--out', file());
  expect(anew.notes).toContain('continue it with --resume, or remove it');
  await makeKeyRecords(redis, 1, { from: 40_000 });
  expect(await backup('--resume')).toMatch(/^3000[01] values are in/);
  cutOff();
  await server.kill();
  await server.restart();
  await eventually('Redis has read its log', async () => (await redis.ping()) === 'PONG');
  const restarted = await runKeyfleet('backup', ...from(), '--out', file(), '--resume');
  expect(restarted).toMatchObject({ exitCode: 1, notes: expect.stringContaining('may have been missed: begin anew') });
});

test('a restore that was cut off goes on, and one of another backup does not begin beside it', async () => {
  await makeKeyRecords(redis, 30);
  await backup();
  const sha256 = (JSON.parse(readFileSync(file(), 'utf8').split('\n').at(-2)!) as { sha256: string }).sha256;
  await redis.flushall();
  await redis.hset('kf:restore', { backup: 'of another', done: 1 });
  const refused = await runKeyfleet('restore', file(), ...from());
  expect(refused).toMatchObject({ exitCode: 1, notes: expect.stringContaining('the restore of another backup') });
  await redis.hset('kf:restore', { backup: sha256, done: 0 });
  await redis.hset('kf:key:{us-east-1/half}', 'record', 'written');
  await redis.del('kf:key:{us-east-1/half}');
  expect(await restore()).toBe('30 values were restored and compared.');
  expect(await listedKeys()).toHaveLength(30);
  expect(await redis.exists('kf:restore')).toBe(0);
});

test('a restore finds what Redis did not keep', async () => {
  await makeKeyRecords(redis, 30);
  await backup();
  const sha256 = (JSON.parse(readFileSync(file(), 'utf8').split('\n').at(-2)!) as { sha256: string }).sha256;
  await redis.flushall();
  // All is written, it says; nothing is there.
  await redis.hset('kf:restore', { backup: sha256, done: 30 });
  const failed = await runKeyfleet('restore', file(), ...from());
  expect(failed).toMatchObject({ exitCode: 1, notes: expect.stringContaining('differs from the backup') });
});

test('a backup of the first release restores', async () => {
  await makeKeyRecords(redis, 30);
  const names = (await redis.keys('kf:*')).toSorted();
  const lines = ['{"keyfleet":"backup","version":1}'];
  for (const name of names) {
    const hash = name.startsWith('kf:key:') ? Object.entries(await redis.hgetall(name)) : undefined;
    const value =
      hash && Object.fromEntries(hash.map(([field, text]) => [field, Buffer.from(text).toString('base64')]));
    lines.push(
      JSON.stringify(
        value ? { name, type: 'hash', value } : { name, type: 'zset', value: [['0190000000000/torn', '0']] },
      ),
    );
  }
  const body = lines.map((line) => `${line}\n`).join('');
  const sha256 = createHash('sha256').update(body).digest('hex');
  writeFileSync(file(), `${body}${JSON.stringify({ count: lines.length - 1, sha256 })}\n`);
  const before = await redis.zrange(keysAt(scope), '-', '+', 'BYLEX');
  await redis.flushall();
  expect(await restore()).toBe('30 values were restored and compared.');
  expect(await listedKeys()).toEqual(before);
  expect(await redis.exists(keysAt(scope))).toBe(0);
});
