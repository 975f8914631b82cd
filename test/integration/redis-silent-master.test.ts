import { newServiceCheck } from '@keyfleet/shared/redis/durability';
import { DurabilityWatch } from '@keyfleet/shared/redis/durability-watch';
import { DurableWrites } from '@keyfleet/shared/redis/durable-writes';
import { RedisWithSentinels } from '@keyfleet/test-support/redis-sentinels';
import { openStore } from '@keyfleet/test-support/redis-store';
import { StoreLoad } from '@keyfleet/test-support/store-load';
import type { Redis } from 'ioredis';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';

/** Sentinels have another master by then, and one replica follows the former one still. */
const PROMOTED_MS = 150;

let redis: RedisWithSentinels;
const resources = new AsyncDisposableStack();
beforeAll(async () => void (redis = resources.use(await RedisWithSentinels.start())), 180_000);
afterAll(() => resources.disposeAsync());

/** Resolves when a Sentinel has told a replica to be the master. */
async function promotion(): Promise<{ readonly seen: Promise<void> }> {
  const { promise: seen, resolve } = Promise.withResolvers<void>();
  for (const server of redis.sentinels) {
    const operator = resources.use(await redis.connectAs('operator', { server })) as Redis & AsyncDisposable;
    await operator.psubscribe('*');
    operator.on('pmessage', (_pattern, channel: string) => {
      if (channel === '+failover-state-send-slaveof-noone') resolve();
    });
  }
  return { seen };
}

async function serverOf(client: Pick<Redis, 'info'>): Promise<{ readonly pid: number }> {
  return { pid: Number(/process_id:(\d+)/.exec(await client.info('server'))![1]) };
}

test('acknowledged writes survive a master that stands still until another is promoted, and then goes on', async () => {
  await using client = await redis.connectAs('frontend');
  const check = newServiceCheck(client, { username: 'frontend', durability: 'strict' });
  using watch = new DurabilityWatch(client, check, () => {});
  const writes = new DurableWrites(client, () => watch.current());
  const load = new StoreLoad(openStore({ client, writes, clock: { now: Date.now } }));
  await vi.waitUntil(() => load.acknowledged.length > 100, 60_000);

  const former = await serverOf(client);
  const { seen } = await promotion();
  process.kill(former.pid, 'SIGSTOP');
  await seen;
  await delay(PROMOTED_MS);
  process.kill(former.pid, 'SIGCONT');
  const isAnother = async () => (await serverOf(client)).pid !== former.pid;
  await vi.waitUntil(() => isAnother().catch(() => false), 60_000);
  const before = load.acknowledged.length;
  await vi.waitUntil(() => load.acknowledged.length > before + 100, 60_000);
  await load.stop();
  expect(await load.lost()).toEqual([]);
}, 240_000);
