import { newServiceCheck } from '@keyfleet/shared/redis/durability';
import { writesOf } from '@keyfleet/test-support/redis-client';
import { RedisWithSentinels } from '@keyfleet/test-support/redis-sentinels';
import { openStore } from '@keyfleet/test-support/redis-store';
import { StoreLoad } from '@keyfleet/test-support/store-load';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';

let redis: RedisWithSentinels;
beforeAll(async () => void (redis = await RedisWithSentinels.start()), 180_000);
afterAll(() => redis?.[Symbol.asyncDispose]());

test('acknowledged writes survive the death of the master under load, and writing goes on with the next', async () => {
  await using client = await redis.connectAs('frontend');
  expect(await newServiceCheck(client, { username: 'frontend', durability: 'strict' })()).toEqual({ replicas: 1 });
  await using manager = await redis.connectAs('domain-manager');
  expect(await manager.llen('kf:domain:{prod}:tokens')).toBe(0);
  const load = new StoreLoad(openStore({ client, writes: writesOf(client, 1), clock: { now: Date.now } }));
  await vi.waitUntil(() => load.acknowledged.length > 100, 60_000);
  const before = load.acknowledged.length;
  await redis.nodes[0]!.kill();
  await vi.waitUntil(() => load.errors.length > 0 && load.acknowledged.length > before + 300, 120_000);
  await load.stop();
  expect(await load.lost()).toEqual([]);
}, 240_000);

test('a service asks a Sentinel for nothing that it may not, and may not ask which others there are', async () => {
  for (const user of ['frontend', 'domain-manager']) {
    await using client = await redis.connectAs(user);
    expect(await client.ping()).toBe('PONG');
  }
  for (const sentinel of redis.sentinels) {
    await using operator = await redis.connectAs('operator', { server: sentinel });
    expect(await operator.call('ACL', 'LOG')).toEqual([]);
    for (const what of ['SENTINELS', 'REPLICAS', 'SLAVES', 'CKQUORUM']) {
      for (const user of ['frontend', 'domain-manager'])
        expect(await operator.call('ACL', 'DRYRUN', user, 'SENTINEL', what, 'keyfleet'), what).toContain(
          'no permissions',
        );
    }
  }
}, 60_000);

test('a Sentinel that dies is reported once, by name', async () => {
  const problems: string[] = [];
  await using client = await redis.connectAs('frontend', { onProblem: ({ message }) => problems.push(message) });
  const lost = redis.sentinels[2]!;
  await lost.kill();
  const refused = `Sentinel 127.0.0.1:${lost.port}: connect ECONNREFUSED 127.0.0.1:${lost.port}`;
  await vi.waitUntil(() => problems.includes(refused), 20_000);
  // The loss may be told while the client still connects.
  await vi.waitFor(() => client.ping(), 20_000);
  expect(problems.filter((problem) => problem === refused)).toHaveLength(1);
}, 60_000);
