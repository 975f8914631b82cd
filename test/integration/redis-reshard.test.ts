import { StoreUnavailableError } from '@keyfleet/frontend/store/store';
import { connectTestRedis, PATIENCE_MS, writesOf } from '@keyfleet/test-support/redis-client';
import { type RedisCluster, reshard, startRedisCluster } from '@keyfleet/test-support/redis-cluster';
import { openStore } from '@keyfleet/test-support/redis-store';
import { StoreLoad } from '@keyfleet/test-support/store-load';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';

describe.each([0, 1])('Redis Cluster of three masters, each with %i replicas', (replicas) => {
  const resources = new AsyncDisposableStack();
  let cluster: RedisCluster;
  beforeAll(async () => {
    cluster = await startRedisCluster(3, replicas, resources);
  });
  afterAll(() => resources.disposeAsync());

  test('slots move under load: nothing acknowledged is lost, and no error tells but to try again', async () => {
    await using client = await connectTestRedis(cluster.url, PATIENCE_MS);
    await using writer = await connectTestRedis(cluster.url);
    const store = openStore({ client, writes: writesOf(writer, replicas), clock: { now: Date.now } });
    const load = new StoreLoad(store, 16);
    await vi.waitUntil(() => load.acknowledged.length > 500, 60_000);

    let over = false;
    const unreadable: unknown[] = [];
    const read = async (): Promise<void> => {
      while (!over) {
        const { region, keyId } = load.acknowledged[Math.floor(Math.random() * load.acknowledged.length)]!;
        try {
          if ((await store.findKey(region, keyId)) === undefined) unreadable.push(keyId);
        } catch (error) {
          unreadable.push(error);
        }
      }
    };
    const readers = Array.from({ length: 16 }, read);
    const [first, second, third] = cluster.masters;
    await reshard(first!, second!, 1000);
    await reshard(second!, third!, 1000);
    await reshard(third!, first!, 1000);
    const atTheEnd = load.acknowledged.length;
    await vi.waitUntil(() => load.acknowledged.length > atTheEnd + 500, 60_000);
    over = true;
    await Promise.all([load.stop(), ...readers]);

    const summary = (errors: readonly unknown[]) => [...new Set(errors.map(String))];
    expect(summary(unreadable.filter((error) => !(error instanceof StoreUnavailableError)))).toEqual([]);
    expect(summary(load.errors.filter((error) => !(error instanceof StoreUnavailableError)))).toEqual([]);
    expect(await load.lost()).toEqual([]);
  }, 240_000);
});
