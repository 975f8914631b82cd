import { RedisStore } from '@keyfleet/domain-manager/store/redis-store';
import { type Found, OvertakenError, RedisParts, type ShardParts } from '@keyfleet/frontend/background/reseal-parts';
import { connectRedis, type RedisClient, RedisConfig, untilReady } from '@keyfleet/shared/redis/connect';
import { DurableWrites } from '@keyfleet/shared/redis/durable-writes';
import { resealProgressAt } from '@keyfleet/shared/stored/names';
import { eventually } from '@keyfleet/test-support/fleet';
import { makeKeyRecords } from '@keyfleet/test-support/key-records';
import { startRedis, type TestServer } from '@keyfleet/test-support/servers';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';

const KEYS = 17_000;
const NOTHING: Found = { resealed: 0, remaining: 0 };
const item = (shard: number, pass = 1) => ({ generation: 2, pass, shard, shards: 4 });

let server: TestServer;
let client: RedisClient & AsyncDisposable;
let manager: RedisStore;
let parts: RedisParts;
beforeAll(async () => {
  server = await startRedis();
  client = connectRedis(RedisConfig.parse({ url: `redis://127.0.0.1:${server.port}` }), { onProblem() {} }, 10_000);
  await untilReady(client, 10_000);
  manager = new RedisStore(
    new DurableWrites(client, () => ({ replicas: 0 })),
    { now: Date.now },
    { domain: 'test', storeId: () => 'x', operators: () => [] },
  );
  parts = new RedisParts(client, 'test');
});
afterAll(async () => {
  await client[Symbol.asyncDispose]();
  await server[Symbol.asyncDispose]();
});
beforeEach(async () => {
  await client.flushall();
  await makeKeyRecords(client, KEYS);
  await manager.startPass(2, { pass: 1, shards: 4, startedAt: 1 });
});

/** Takes parts until nothing is left; of each, one token was resealed. */
async function finish(shard: ShardParts, seen: string[]): Promise<void> {
  let found = NOTHING;
  for (let names = await shard.next(found); names !== undefined; names = await shard.next(found)) {
    found = { resealed: names === 'missed' ? 0 : 1, remaining: 0 };
    if (names !== 'missed') seen.push(...names);
  }
}

const keysIn = (names: readonly string[]) => names.filter((name) => name.startsWith('kf:key:'));

test('several that work on a pass have every name between them, and each but once', async () => {
  const seen: string[] = [];
  const shards = await Promise.all([0, 1, 2].map((shard) => parts.open(item(shard))));
  await Promise.all(shards.map((shard) => finish(shard!, seen)));
  expect(new Set(keysIn(seen)).size).toBe(KEYS);
  expect(seen.length).toBeLessThan(KEYS + 100);
  // The last one has nothing to do but to say so.
  await finish((await parts.open(item(3)))!, seen);
  const progress = await manager.findReseal(2);
  expect(progress).toMatchObject({ pass: 1, resealed: progress?.parts });
  expect(progress?.reports.size).toBe(4);
  expect(await parts.open(item(0))).toBeUndefined();
});

test('a shard that the pass does not have takes no parts, whoever asks for it: nobody would count what it finds', async () => {
  for (const shard of [4, 999]) expect(await parts.open({ ...item(shard), shards: 1_000 })).toBeUndefined();
  const seen: string[] = [];
  await finish((await parts.open(item(3)))!, seen);
  expect(new Set(keysIn(seen)).size).toBe(KEYS);
});

test('progress only rises, and what was reported late or of another pass changes nothing', async () => {
  const slow = (await parts.open(item(0)))!;
  await slow.next(NOTHING);
  await slow.next({ resealed: 7, remaining: 0 });
  const other = (await parts.open(item(0)))!;
  await other.next(NOTHING);
  const before = await manager.findReseal(2);
  expect(before?.resealed).toBe(7);
  await expect(slow.next({ resealed: 0, remaining: 0 })).rejects.toThrow(OvertakenError);
  expect(await manager.findReseal(2)).toEqual(before);
  await manager.startPass(2, { pass: 2, shards: 4, startedAt: 2 });
  await expect(other.next(NOTHING)).rejects.toThrow(OvertakenError);
  await expect(other.leave(NOTHING)).rejects.toThrow(OvertakenError);
  expect(await parts.open(item(0))).toBeUndefined();
  expect(await manager.findReseal(2)).toMatchObject({ pass: 2, resealed: 7, parts: 0 });
});

test('a pass of which a part was taken and never reported proves nothing', async () => {
  await (await parts.open(item(0)))!.next(NOTHING);
  for (const shard of [0, 1, 2, 3]) await finish((await parts.open(item(shard)))!, []);
  const reports = [...(await manager.findReseal(2))!.reports.values()];
  expect(reports.map(({ remaining }) => remaining)).toEqual([1, 0, 0, 0]);
});

test('a frontend that leaves after a part costs the pass nothing', async () => {
  const seen: string[] = [];
  const first = (await parts.open(item(0)))!;
  const names = await first.next(NOTHING);
  if (Array.isArray(names)) seen.push(...names);
  await first.leave({ resealed: 3, remaining: 0 });
  for (const shard of [0, 1, 2, 3]) await finish((await parts.open(item(shard)))!, seen);
  expect(new Set(keysIn(seen)).size).toBe(KEYS);
  const { reports, parts: taken, resealed } = (await manager.findReseal(2))!;
  expect([...reports.values()].every(({ remaining }) => remaining === 0)).toBe(true);
  expect(resealed).toBe(3 + taken - 1);
});

test('of two that take the same part one has missed it, and what that one found before is reported when it leaves', async () => {
  const shards = await Promise.all([0, 1].map(async (shard) => (await parts.open(item(shard)))!));
  await shards[0]!.next(NOTHING);
  await shards[1]!.next(NOTHING);
  const taken = await Promise.all(shards.map((shard) => shard.next({ resealed: 2, remaining: 0 })));
  expect(taken).toEqual([expect.arrayContaining([]), 'missed']);
  await shards[1]!.leave(NOTHING);
  expect(await manager.findReseal(2)).toMatchObject({ resealed: 4, parts: 3 });
  await finish((await parts.open(item(1)))!, []);
  expect((await manager.findReseal(2))?.reports.get(1)).toMatchObject({ standing: 'done', remaining: 0 });
});

test('a pass during which Redis was restarted ends, and proves nothing', async () => {
  const shard = (await parts.open(item(0)))!;
  await shard.next(NOTHING);
  await server.kill();
  await server.restart();
  // What was asked before the connection was made anew, or while Redis reads its log, may never be answered.
  await eventually('Redis has read its log', async () => (await client.ping()) === 'PONG', 30_000);
  expect(await shard.next(NOTHING)).toBeUndefined();
  for (const other of [1, 2, 3]) await finish((await parts.open(item(other)))!, []);
  const { reports } = (await manager.findReseal(2))!;
  expect(reports.size).toBe(4);
  expect([...reports.values()].map(({ remaining }) => remaining)).toEqual([1, 0, 0, 0]);
});

test.each([
  ['no JSON', 'x'],
  ['no UTF-8', Buffer.from([0xff])],
  ['too long to be read', 'x'.repeat(100_000)],
  ['before the first node', JSON.stringify({ runIds: [], node: -1e15, cursor: '0' })],
  ['at no cursor', JSON.stringify({ runIds: [], node: 0, cursor: 'x' })],
])('a pass whose next part begins %s, which no frontend wrote, has every name all the same', async (_what, front) => {
  await client.hset(resealProgressAt('test', 2), '1:front', front);
  const seen: string[] = [];
  await finish((await parts.open(item(0)))!, seen);
  expect(new Set(keysIn(seen)).size).toBe(KEYS);
});

test.each([
  ['no JSON', 'x', 1],
  ['no UTF-8', Buffer.from([0xff]), 1],
  ['too long to be read', 'x'.repeat(100_000), 0],
])('a shard whose report is %s, which no frontend wrote, goes on', async (_what, text, remaining) => {
  await client.hset(resealProgressAt('test', 2), '1:0', text);
  await finish((await parts.open(item(0)))!, []);
  expect((await manager.findReseal(2))?.reports.get(0)).toMatchObject({ standing: 'done', remaining });
});
