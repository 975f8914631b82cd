import { openStore } from '@keyfleet/test-support/redis-store';
import { connectTestRedis as connect, writesOf } from '@keyfleet/test-support/redis-client';
import { startRedisCluster } from '@keyfleet/test-support/redis-cluster';
import { startRedis, startSentinel, type TestServer } from '@keyfleet/test-support/servers';
import { setTimeout as delay } from 'node:timers/promises';
import { CachedGrants } from '@keyfleet/frontend/grants/cached-grants';
import { MemoryGrantStore } from '@keyfleet/frontend/grants/memory-grant-store';
import { CachedStore } from '@keyfleet/frontend/store/cached-store';
import { ChangeFeed } from '@keyfleet/frontend/store/change-feed';
import { RedisCalls } from '@keyfleet/frontend/store/redis-calls';
import { RedisFleetSecrets } from '@keyfleet/frontend/store/redis-fleet-secrets';
import { StoreUnavailableError } from '@keyfleet/frontend/store/store';
import { fleetSecretsContract } from '@keyfleet/frontend/store/fleet-secrets.contract';
import { newKey } from '@keyfleet/frontend/store/key-store.contract';
import { storeContract } from '@keyfleet/frontend/store/store.contract';
import { mastersOf } from '@keyfleet/shared/redis/connect';
import { checkByInfo, checkDurability, newServiceCheck } from '@keyfleet/shared/redis/durability';
import { redisHealth } from '@keyfleet/shared/redis/observe-redis';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';

const clock = { now: Date.now };

const addressOf = ({ port }: TestServer) => `127.0.0.1:${port}`;

/** Three masters that write everything to one disk at once may need more than a second. */
const connectPatiently = (url: string) => connect(url, 10_000);

describe('Redis Cluster', () => {
  const resources = new AsyncDisposableStack();
  let url: string;
  beforeAll(async () => {
    ({ url } = await startRedisCluster(3, 0, resources));
  });
  afterAll(() => resources.disposeAsync());

  async function connectEmptied() {
    const client = await connectPatiently(url);
    await Promise.all(mastersOf(client).map((node) => node.flushall()));
    return client;
  }

  storeContract(async () => {
    const client = await connectEmptied();
    const store = openStore({ client, writes: writesOf(client), clock });
    return Object.assign(store, { [Symbol.asyncDispose]: () => client[Symbol.asyncDispose]() });
  });

  fleetSecretsContract(async () => {
    const client = await connectEmptied();
    const secrets = new RedisFleetSecrets(new RedisCalls({ client, writes: writesOf(client) }));
    return Object.assign(secrets, { [Symbol.asyncDispose]: () => client[Symbol.asyncDispose]() });
  });

  test('each of its nodes is checked for durability', async () => {
    await using client = await connectPatiently(url);
    expect(await checkDurability(client, 'strict')).toEqual({ replicas: 0 });
    const [, second] = mastersOf(client);
    await second?.config('SET', 'appendfsync', 'everysec');
    await expect(checkDurability(client, 'strict')).rejects.toThrow(/appendfsync everysec/);
    await second?.config('SET', 'appendfsync', 'always');
  });

  test('on every node a record is refused whose record key may be dropped', async () => {
    await using client = await connectEmptied();
    const connections = { client, writes: writesOf(client) };
    const store = openStore({ ...connections, clock });
    const secrets = new RedisFleetSecrets(new RedisCalls(connections));
    const before = Array.from({ length: 10 }, () => newKey());
    const after = Array.from({ length: 10 }, () => newKey());
    for (const key of before) await store.insertKey(key);
    await secrets.fenceRecordKeys(2);
    for (const key of after) await expect(store.insertKey(key)).rejects.toThrow(StoreUnavailableError);
    const usage = { operation: 'Encrypt', usedAt: 1, requestId: 'r', eventId: 'e' } as const;
    const uses = before.map((key) => ({ ...key, usage }));
    await expect(store.keepLastUsages(uses)).rejects.toThrow(StoreUnavailableError);
    for (const key of before) {
      expect(await store.findLastUsage(key.region, key.keyId)).toBeUndefined();
      await expect(store.updateKey({ ...key, description: 'late' })).rejects.toThrow(StoreUnavailableError);
      expect(await store.findKey(key.region, key.keyId)).toEqual(key);
    }
    await Promise.all(mastersOf(client).map((node) => node.flushall()));
  });

  test('a change on any node reaches every cache', async () => {
    await using one = await openCached(url);
    await using two = await openCached(url);
    for (const key of Array.from({ length: 10 }, () => newKey())) {
      await one.store.insertKey(key);
      for (const { store } of [one, two]) await store.findKey(key.region, key.keyId);
      await one.store.updateKey({ ...key, description: 'new' });
      const seen = async () => (await two.store.findKey(key.region, key.keyId))?.description;
      await vi.waitFor(async () => expect(await seen()).toBe('new'), { timeout: 60_000 });
    }
  });
});

async function openCached(url: string) {
  const client = await connectPatiently(url);
  const feed = new ChangeFeed(client, { serveStaleMs: 30_000, beatsAreWrites: () => false });
  const grants = new CachedGrants(new MemoryGrantStore(async () => true), feed);
  const store = new CachedStore(openStore({ client, writes: writesOf(client), clock }), feed, {
    maxKeyBytes: 1 << 20,
    grants,
  });
  await vi.waitUntil(() => feed.trusted, { timeout: 60_000 });
  return {
    store,
    async [Symbol.asyncDispose]() {
      await feed[Symbol.asyncDispose]();
      await client[Symbol.asyncDispose]();
    },
  };
}

describe('Redis with a replica', () => {
  const servers = new AsyncDisposableStack();
  let master: TestServer;
  let replica: TestServer;
  beforeAll(async () => {
    master = servers.use(await startRedis(['--repl-diskless-sync-delay', '0']));
    replica = servers.use(await startRedis(['--replicaof', '127.0.0.1', `${master.port}`]));
    await using client = await connect(`redis://${addressOf(master)}`);
    while (!(await client.info('replication')).includes('state=online')) await delay(50);
  });
  afterAll(() => servers.disposeAsync());

  test('is refused while an acknowledged write need not be on the replica', async () => {
    await using client = await connect(`redis://${addressOf(master)}`);
    const checks = [checkDurability, checkByInfo];
    for (const check of checks)
      await expect(check(client, 'strict')).rejects.toThrow(/failover.*Set "min-replicas-to-write 1"/);
    await client.config('SET', 'min-replicas-to-write', '1');
    for (const check of checks) expect(await check(client, 'strict')).toEqual({ replicas: 1 });
  });

  test('half of the most replicas that a service has seen at once have its writes, while fewer are there too', async () => {
    await using client = await connect(`redis://${addressOf(master)}`);
    await client.config('SET', 'min-replicas-to-write', '1');
    const untilReplicas = (count: number) =>
      vi.waitFor(async () => expect(await checkByInfo(client, 'strict')).toEqual({ replicas: count }), 20_000);
    await untilReplicas(1);
    const check = newServiceCheck(client, { username: 'frontend', durability: 'strict' });
    expect(await check()).toEqual({ replicas: 1 });
    {
      await using others = new AsyncDisposableStack();
      for (let i = 0; i < 2; i++) others.use(await startRedis(['--replicaof', '127.0.0.1', `${master.port}`]));
      await vi.waitUntil(async () => (await check()).replicas === 2, { timeout: 20_000 });
    }
    await untilReplicas(1);
    expect(await check()).toEqual({ replicas: 2 });
  });

  test('says of itself what alerts ask for: replicas that keep up, the memory in use, whether it writes its file', async () => {
    await using client = await connect(`redis://${addressOf(master)}`);
    await client.config('SET', 'min-replicas-to-write', '0');
    const healthy = { replicas: undefined, memoryUsed: undefined, persists: true };
    expect(await redisHealth(client)).toEqual(healthy);
    await client.config('SET', 'min-replicas-to-write', '1');
    await client.config('SET', 'maxmemory', `${1024 ** 4}`);
    const limited = await redisHealth(client);
    expect(limited).toEqual({ ...healthy, replicas: 1, memoryUsed: expect.any(Number) as number });
    expect(limited!.memoryUsed).toBeGreaterThan(0);
    expect(limited!.memoryUsed).toBeLessThan(0.01);
    await client.config('SET', 'maxmemory', '0');
  });

  test('is not up for whom reaches its replica, or nothing', async () => {
    await using client = await connect(`redis://${addressOf(replica)}`);
    expect(await redisHealth(client)).toBeUndefined();
    const away = await connect(`redis://${addressOf(master)}`);
    await away[Symbol.asyncDispose]();
    expect(await redisHealth(away)).toBeUndefined();
  });

  test('acknowledges what its replica has, survives a failover by Sentinel, and acknowledges nothing alone', async () => {
    await using sentinel = await startSentinel(master);
    await using client = await connect(`redis+sentinel://${addressOf(sentinel)}/keyfleet`);
    const store = openStore({ client, writes: writesOf(client, 1), clock });
    // One that was not acknowledged may be there all the same: it is not written again, another is.
    const acknowledged = async () => {
      const key = newKey();
      await store.insertKey(key);
      return key;
    };
    const keys = await Promise.all(
      Array.from({ length: 20 }, () => vi.waitFor(acknowledged, { timeout: 60_000, interval: 200 })),
    );
    // Sentinel must know of the replica before it can promote it.
    await using observer = await connect(`redis://${addressOf(sentinel)}`);
    const replicas = async () => (await observer.call('SENTINEL', 'REPLICAS', 'keyfleet')) as unknown[];
    await vi.waitUntil(async () => (await replicas()).length === 1, { timeout: 60_000 });

    await master.kill();
    const found = await vi.waitFor(() => Promise.all(keys.map(({ region, keyId }) => store.findKey(region, keyId))), {
      timeout: 120_000,
      interval: 200,
    });
    expect(found.filter((key) => key === undefined)).toEqual([]);
    await expect(store.updateKey({ ...keys[0]!, description: 'alone' })).rejects.toThrow(StoreUnavailableError);
  }, 240_000);
});
