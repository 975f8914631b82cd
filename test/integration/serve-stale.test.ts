import { openStore, testMacs } from '@keyfleet/test-support/redis-store';
import {
  CreateKeyCommand,
  DecryptCommand,
  DescribeKeyCommand,
  EncryptCommand,
  GenerateRandomCommand,
  type KMSClient,
  KMSServiceException,
} from '@aws-sdk/client-kms';
import { CreateUserCommand, IAMClient, IAMServiceException } from '@aws-sdk/client-iam';
import { GetSessionTokenCommand, STSClient, STSServiceException } from '@aws-sdk/client-sts';
import { CachedStore } from '@keyfleet/frontend/store/cached-store';
import { ChangeFeed } from '@keyfleet/frontend/store/change-feed';
import { StoreUnavailableError } from '@keyfleet/frontend/store/store';
import { newKey } from '@keyfleet/frontend/store/key-store.contract';
import { kmsClient } from '@keyfleet/test-support/aws-client';
import { startTestCluster, type TestCluster } from '@keyfleet/test-support/cluster';
import { eventually } from '@keyfleet/test-support/fleet';
import { connectTestRedis, writesOf } from '@keyfleet/test-support/redis-client';
import { startRedis, startSentinel, type TestServer } from '@keyfleet/test-support/servers';
import { readFileSync, writeFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { CachedGrants } from '@keyfleet/frontend/grants/cached-grants';
import { RedisGrantStore } from '@keyfleet/frontend/grants/redis-grant-store';
import { RedisCalls } from '@keyfleet/frontend/store/redis-calls';

const clock = { now: Date.now };
const addressOf = ({ port }: TestServer) => `127.0.0.1:${port}`;

async function openFrontend(url: string, serveStaleMs: number) {
  const [client, writer] = [await connectTestRedis(url), await connectTestRedis(url)];
  const feed = new ChangeFeed(client, { serveStaleMs, beatsAreWrites: () => true });
  const store = openStore({ client, writes: writesOf(writer, 1), feed, clock });
  const calls = new RedisCalls({ client, writes: writesOf(writer, 1), feed });
  const grants = new CachedGrants(new RedisGrantStore({ calls, macs: testMacs(), monotonicClock: clock }), feed);
  const cached = new CachedStore(store, feed, { maxKeyBytes: 1 << 20, grants });
  await vi.waitUntil(() => feed.trusted, { timeout: 20_000 });
  return {
    feed,
    store: cached,
    /** As a cryptographic operation looks for a key. */
    find: async ({ region, keyId }: { region: string; keyId: string }) => {
      const lastKnown = cached.lastKnown();
      const key = await (lastKnown ?? cached).findKey(region, keyId);
      return { key, isStale: lastKnown?.served ?? false };
    },
    async [Symbol.asyncDispose]() {
      await feed[Symbol.asyncDispose]();
      await client[Symbol.asyncDispose]();
      await writer[Symbol.asyncDispose]();
    },
  };
}

async function startPair(lag = '10') {
  const settings = ['--min-replicas-to-write', '1', '--min-replicas-max-lag', lag];
  const master = await startRedis(['--repl-diskless-sync-delay', '0', ...settings]);
  const replica = await startRedis(['--replicaof', '127.0.0.1', `${master.port}`]);
  await using client = await connectTestRedis(master.port);
  while (!(await client.info('replication')).includes('state=online')) await delay(50);
  return {
    master,
    replica,
    async [Symbol.asyncDispose]() {
      await replica[Symbol.asyncDispose]();
      await master[Symbol.asyncDispose]();
    },
  };
}

test('a Redis whose memory is full refuses writes, and is read as before', async () => {
  await using pair = await startPair();
  await using frontend = await openFrontend(`redis://${addressOf(pair.master)}`, 0);
  const key = newKey();
  await frontend.store.insertKey(key);
  await using observer = await connectTestRedis(pair.master.port);
  await observer.config('SET', 'maxmemory', '1');
  await expect(frontend.store.insertKey(newKey())).rejects.toThrow(/OOM/);
  // Whatever proved before that the changes of others are heard has lapsed by then.
  const lapsed = performance.now() + 2_000;
  await vi.waitUntil(() => performance.now() > lapsed && frontend.feed.trusted, { timeout: 20_000 });
  expect((await frontend.find(key)).key?.keyId).toBe(key.keyId);
});

test('a failover by Sentinel under load costs keys in memory nothing', async () => {
  await using pair = await startPair();
  await using sentinel = await startSentinel(pair.master);
  await using observer = await connectTestRedis(`redis://${addressOf(sentinel)}`);
  const replicas = async () => (await observer.call('SENTINEL', 'REPLICAS', 'keyfleet')) as unknown[];
  await vi.waitUntil(async () => (await replicas()).length === 1, { timeout: 20_000 });
  await using frontend = await openFrontend(`redis+sentinel://${addressOf(sentinel)}/keyfleet`, 60_000);
  const keys = Array.from({ length: 20 }, () => newKey());
  for (const key of keys) await frontend.store.insertKey(key);
  for (const key of keys) await frontend.find(key);

  let [found, stale, slowest] = [0, 0, 0];
  const errors: unknown[] = [];
  let serving = true;
  const load = (async () => {
    while (serving) {
      for (const key of keys) {
        const startedAt = performance.now();
        try {
          const { isStale } = await frontend.find(key);
          found++;
          if (isStale) stale++;
        } catch (error) {
          errors.push(error);
        }
        slowest = Math.max(slowest, performance.now() - startedAt);
      }
      await delay(5);
    }
  })();
  await delay(200);
  await pair.master.kill();
  const promoted = async () => {
    await using client = await connectTestRedis(pair.replica.port);
    return (await client.info('replication')).includes('role:master');
  };
  await vi.waitFor(async () => expect(await promoted()).toBe(true), { timeout: 60_000, interval: 100 });
  await delay(1_000);
  serving = false;
  await load;
  expect(errors).toEqual([]);
  expect(stale).toBeGreaterThan(0);
  expect(found).toBeGreaterThan(stale);
  expect(slowest).toBeLessThan(1_000);
});

test('a deposed master is believed for a bounded time only, by memory and by reads alike', async () => {
  await using pair = await startPair('2');
  await using other = await startRedis();
  await using frontend = await openFrontend(`redis://${addressOf(pair.master)}`, 3_000);
  const key = newKey();
  await frontend.store.insertKey(key);
  await frontend.find(key);
  // Cut off: the replica follows somebody else, and the master, alone, answers on.
  await using replica = await connectTestRedis(pair.replica.port);
  await replica.call('REPLICAOF', '127.0.0.1', other.port);
  const refused = async () => {
    const outcomes = await Promise.allSettled([frontend.find(key), frontend.store.findKey(key.region, key.keyId)]);
    return outcomes.every((one) => one.status === 'rejected' && one.reason instanceof StoreUnavailableError);
  };
  await vi.waitFor(async () => expect(await refused()).toBe(true), { timeout: 60_000, interval: 100 });
  expect(frontend.feed.trusted).toBe(false);
  await using direct = await connectTestRedis(pair.master.port);
  expect(await direct.exists(`kf:key:{us-east-1/${key.keyId}}`)).toBe(1);
});

describe('a cluster whose Redis is away', () => {
  let cluster: TestCluster;
  let kms: KMSClient;
  let iam: IAMClient;
  let sts: STSClient;
  beforeAll(async () => {
    cluster = await startTestCluster({ workers: 1 });
    const file = cluster.home.in('config', 'frontend.json');
    const config = JSON.parse(readFileSync(file, 'utf8')) as object;
    writeFileSync(file, JSON.stringify({ ...config, serveStale: '15s' }), { mode: 0o600 });
    await cluster.kill('frontend');
    await cluster.restart('frontend');
    kms = kmsClient(cluster, { maxAttempts: 1 });
    const { endpoint, credentials } = cluster;
    const once = { endpoint, credentials, region: 'us-east-1', maxAttempts: 1 };
    [iam, sts] = [new IAMClient(once), new STSClient(once)];
  });
  afterAll(async () => {
    for (const client of [kms, iam, sts]) client?.destroy();
    await cluster?.[Symbol.asyncDispose]();
  });

  test('goes on with keys in memory for as long as it may, says so in the audit log, and manages nothing', async () => {
    const Plaintext = Buffer.of(1);
    const KeyId = (await kms.send(new CreateKeyCommand({}))).KeyMetadata!.KeyId!;
    const unknown = (await kms.send(new CreateKeyCommand({}))).KeyMetadata!.KeyId!;
    const encrypt = (id = KeyId) => kms.send(new EncryptCommand({ KeyId: id, Plaintext }));
    const { CiphertextBlob } = await encrypt();
    const audited = () => readFileSync(cluster.home.in('log', 'audit.log'), 'utf8');
    expect(audited()).not.toContain('lastKnownKeyRecord');

    // What the first calls changed (last usages) has been heard of by then, and all is in memory again.
    const warmUntil = performance.now() + 2_000;
    while (performance.now() < warmUntil) await encrypt();
    await cluster.kill('redis');
    const lostAt = performance.now();
    // What was under way when Redis went may fail, and is tried again by the SDK.
    const customer = kmsClient(cluster, { maxAttempts: 3 });
    while (performance.now() - lostAt < 4_000) {
      await customer.send(new EncryptCommand({ KeyId, Plaintext }));
      const { Plaintext: opened } = await customer.send(new DecryptCommand({ CiphertextBlob }));
      expect(Buffer.from(opened!)).toEqual(Plaintext);
      await delay(100);
    }
    customer.destroy();
    const away = { name: 'DependencyTimeoutException' };
    await Promise.all([
      expect(kms.send(new GenerateRandomCommand({ NumberOfBytes: 1 }))).resolves.toBeDefined(),
      // They would outlive what was known of the caller.
      expect(sts.send(new GetSessionTokenCommand({}))).rejects.toBeInstanceOf(STSServiceException),
      expect(iam.send(new CreateUserCommand({ UserName: 'late' }))).rejects.toBeInstanceOf(IAMServiceException),
      expect(encrypt(unknown)).rejects.toMatchObject(away),
      expect(kms.send(new DescribeKeyCommand({ KeyId }))).rejects.toMatchObject(away),
      expect(kms.send(new CreateKeyCommand({}))).rejects.toBeInstanceOf(KMSServiceException),
    ]);
    expect(await encrypt()).toBeDefined();
    expect((await fetch(`${cluster.endpoint}/readyz`)).status).toBe(200);
    await eventually('the audit log says so', () => audited().includes('"lastKnownKeyRecord":true'));

    await eventually('it ends', () =>
      encrypt().then(
        () => false,
        ({ name }: Error) => name === away.name,
      ),
    );
    expect(performance.now() - lostAt).toBeGreaterThan(4_500);
    expect((await fetch(`${cluster.endpoint}/readyz`)).status).toBe(503);
    await cluster.restart('redis');
    await eventually('all is as before', () => encrypt(unknown).then(() => true));
  });
});
