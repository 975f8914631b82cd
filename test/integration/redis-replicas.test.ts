import { CreateKeyCommand } from '@aws-sdk/client-kms';
import { checkReplicas } from '@keyfleet/cli/doctor/replicas';
import type { Progress } from '@keyfleet/cli/progress';
import { sentinelsOf } from '@keyfleet/cli/redis-option';
import { kmsClient } from '@keyfleet/test-support/aws-client';
import { cliOptionsOf, runKeyfleet } from '@keyfleet/test-support/cli';
import { startTestCluster } from '@keyfleet/test-support/cluster';
import { connectTestRedis, PATIENCE_MS, writesOf } from '@keyfleet/test-support/redis-client';
import { startRedisCluster } from '@keyfleet/test-support/redis-cluster';
import { openStore } from '@keyfleet/test-support/redis-store';
import { startRedis, startSentinel, type TestServer } from '@keyfleet/test-support/servers';
import { StoreLoad } from '@keyfleet/test-support/store-load';
import type { RedisClient } from '@keyfleet/shared/redis/connect';
import { Redis } from 'ioredis';
import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, beforeEach, expect, onTestFinished, test, vi } from 'vitest';

const silent = { tell: () => {} } as unknown as Progress;
const servers = new AsyncDisposableStack();
let master: TestServer;
let client: RedisClient;

const follow = (port: number) => ['--repl-diskless-sync-delay', '0', '--replicaof', '127.0.0.1', `${port}`];
const addressOf = ({ port }: TestServer): string => `127.0.0.1:${port}`;

function disposable(redis: Redis): Redis & Disposable {
  return Object.assign(redis, { [Symbol.dispose]: () => redis.disconnect() });
}

/** It has everything once it is there. */
async function startReplica(of: TestServer = master): Promise<TestServer> {
  const replica = await startRedis(follow(of.port));
  onTestFinished(() => replica[Symbol.asyncDispose]());
  await using own = await connectTestRedis(replica.port);
  await vi.waitUntil(async () => (await own.info('replication')).includes('master_link_status:up'), PATIENCE_MS);
  return replica;
}

const none = { masterName: '', nodes: [] };

function check(...nodes: readonly TestServer[]): Promise<string> {
  const named = nodes.map((node) => ({
    address: addressOf(node),
    open: () => connectTestRedis(node.port, PATIENCE_MS),
  }));
  return checkReplicas(client, { nodes: named, sentinels: none }, silent);
}

/** What a frontend's user may run: the first part is for Redis's replicas and file, the second for its memory alone. */
const planting = (planted: string, hidden: string) => `
redis.set_repl(redis.REPL_ALL)
${planted}
redis.set_repl(redis.REPL_NONE)
${hidden}`;

beforeAll(async () => {
  master = servers.use(await startRedis(['--repl-diskless-sync-delay', '0']));
  client = servers.use(await connectTestRedis(master.port, PATIENCE_MS));
});
beforeEach(() => client.flushall());
afterAll(() => servers.disposeAsync());

test('the doctor names what only a replica has, or has otherwise, while everybody writes, and nothing else', async () => {
  const replica = await startReplica();
  const store = openStore({ client, writes: writesOf(client, 1), clock: { now: Date.now } });
  const load = new StoreLoad(store);
  await using _ = { [Symbol.asyncDispose]: () => load.stop() };
  await client.hset('kf:iam:{1}', { 'user/a': 'now', 'user/b': 'b', 'user/c': 'c' });
  await client.rpush('kf:domain:{d}:tokens', '1', '2');
  const changing = async (): Promise<void> => {
    for (let i = 0; !done.signal.aborted; i++) await client.hset('kf:iam:{1}', 'user/busy', `${i}`);
  };
  const done = new AbortController();
  const busy = changing();
  await vi.waitUntil(() => load.acknowledged.length > 300, PATIENCE_MS);
  expect(await check(master, replica)).toBe('1 have what their masters have, and nobody else follows or is known');

  await client.eval(
    planting(
      `redis.call('SET', 'kf:access-key:{AKIA1}', 'old')
       redis.call('HSET', 'kf:iam:{1}', 'user/a', 'old')
       redis.call('HDEL', 'kf:iam:{1}', 'user/b')
       redis.call('RPUSH', 'kf:domain:{d}:tokens', '3')
       redis.call('SET', 'kf:rates:{1/r}', 'of no backup')`,
      `redis.call('DEL', 'kf:access-key:{AKIA1}', 'kf:rates:{1/r}')
       redis.call('HSET', 'kf:iam:{1}', 'user/a', 'now', 'user/b', 'b')
       redis.call('RPOP', 'kf:domain:{d}:tokens')`,
    ),
    0,
  );
  const problem = await check(replica).catch(String);
  const [, named = ''] = /:\d+: (.*?)\. See docs\/recovery\.md/.exec(problem) ?? [];
  expect(named.split(', ').toSorted()).toEqual([
    'it alone has kf:access-key:{AKIA1}',
    'it alone has kf:domain:{d}:tokens 2',
    'it has another kf:iam:{1} user/a',
    'it lacks kf:iam:{1} user/b',
  ]);

  // The remedy: an empty volume.
  await replica[Symbol.asyncDispose]();
  const anew = await startReplica();
  await vi.waitUntil(async () => (await client.info('replication')).includes('connected_slaves:1'), PATIENCE_MS);
  expect(await check(anew)).toContain('1 have what');
  done.abort();
  await busy;
});

test('of very many differences it names some, and goes no further', async () => {
  const replica = await startReplica();
  await client.eval(
    planting(
      "for i = 1, 5000 do redis.call('SET', 'kf:access-key:{' .. i .. '}', 'old') redis.call('HSET', 'kf:iam:{1}', i, 'old') end",
      "for i = 1, 5000 do redis.call('DEL', 'kf:access-key:{' .. i .. '}') end redis.call('DEL', 'kf:iam:{1}')",
    ),
    0,
  );
  const problem = String(await check(replica).catch(String));
  expect(problem.match(/it alone has/g), problem).toHaveLength(20);
  expect(problem).toContain('compared no further');
});

test('it names a date on which only a replica would delete something', async () => {
  const replica = await startReplica();
  await client.set('kf:access-key:{AKIA1}', 'x');
  const script = planting("redis.call('PEXPIRE', KEYS[1], 9000000)", "redis.call('PERSIST', KEYS[1])");
  await client.eval(script, 1, 'kf:access-key:{AKIA1}');
  await expect(check(replica)).rejects.toThrow(/Redis is to delete kf:access-key:\{AKIA1\} on /);
});

test('it names who follows and is not named, and sends that one nothing', async () => {
  const [replica, strange] = [await startReplica(), await startReplica()];
  const ofReplica = await startReplica(replica);
  await using own = await connectTestRedis(replica.port);
  await own.config('SET', 'min-replicas-to-write', '1');
  await vi.waitUntil(async () => (await client.info('replication')).includes('connected_slaves:2'), PATIENCE_MS);
  await using observer = await connectTestRedis(strange.port);
  const logins = async () => /total_connections_received:\d+/.exec(await observer.info('stats'))?.[0];
  const before = await logins();
  const problem = String(await check(master, replica).catch(String));
  expect(problem).toContain('3 replicas follow (');
  for (const one of [replica, strange, ofReplica]) expect(problem).toContain(addressOf(one));
  expect(problem).toContain('--redis-nodes names 1');
  expect(await logins()).toBe(before);
  expect(await check(master, replica, strange, ofReplica)).toContain('3 have what their masters have');
});

test('it names a replica or Sentinel that a Sentinel still knows, although that is gone', async () => {
  await using resources = new AsyncDisposableStack();
  const own = resources.use(await startRedis(['--repl-diskless-sync-delay', '0']));
  const redis = resources.use(await connectTestRedis(own.port, PATIENCE_MS));
  const sentinel = resources.use(await startSentinel(own));
  const observer = resources.use(await connectTestRedis(sentinel.port));
  const master = { address: addressOf(own), open: () => connectTestRedis(own.port) };
  const sentinels = sentinelsOf({ redis: `redis+sentinel://${addressOf(sentinel)}/keyfleet` });
  expect(await checkReplicas(redis, { nodes: [master], sentinels }, silent)).toContain(
    'nobody else follows or is known',
  );

  const [strange, another] = [await startReplica(own), await startSentinel(own)];
  onTestFinished(() => another[Symbol.asyncDispose]());
  await vi.waitUntil(async () => (await observer.info('sentinel')).includes('slaves=1,sentinels=2'), {
    timeout: 60_000,
    interval: 200,
  });
  await strange[Symbol.asyncDispose]();
  await another[Symbol.asyncDispose]();
  await vi.waitUntil(async () => (await redis.info('replication')).includes('connected_slaves:0'), PATIENCE_MS);
  const problem = String(await checkReplicas(redis, { nodes: [master], sentinels }, silent).catch(String));
  const knows = `Sentinel ${addressOf(sentinel)} knows 1`;
  expect(problem).toContain(`${knows} (${addressOf(strange)}) replicas, and --redis-nodes names 1 nodes`);
  expect(problem).toContain(`${knows} (${addressOf(another)}) others, and --redis names 1`);
});

test('the replicas of a Redis Cluster are compared, each with its own master', async () => {
  await using resources = new AsyncDisposableStack();
  const { url } = await startRedisCluster(3, 1, resources);
  const redis = resources.use(await connectTestRedis(url, PATIENCE_MS));
  for (let i = 0; i < 30; i++) await redis.set(`kf:access-key:{${i}}`, 'x');
  const known = ((await redis.cluster('NODES')) as string).matchAll(/^\w+ (127\.0\.0\.1:\d+)@/gm);
  const nodes = [...known].map(([, address]) => ({
    address: address!,
    open: () => connectTestRedis(`redis://${address}`, PATIENCE_MS),
  }));
  expect(await checkReplicas(redis, { nodes, sentinels: none }, silent)).toBe(
    '3 have what their masters have, and nobody else follows or is known',
  );
  const fewer = await checkReplicas(redis, { nodes: nodes.slice(0, -1), sentinels: none }, silent).catch(String);
  expect(fewer).toMatch(/the cluster knows 6 \(127.*\) nodes, and --redis-nodes names 5/);
  const script = planting("redis.call('SET', KEYS[1], 'old')", "redis.call('DEL', KEYS[1])");
  for (const i of [1, 2, 3]) await redis.eval(script, 1, `kf:access-key:{planted-${i}}`);
  const problem = String(await checkReplicas(redis, { nodes, sentinels: none }, silent).catch(String));
  for (const i of [1, 2, 3]) expect(problem).toContain(`it alone has kf:access-key:{planted-${i}}`);
});

test('it says so where a node cannot be compared, or would lose what it acknowledges as the next master', async () => {
  const replica = await startReplica();
  const other = await startRedis();
  onTestFinished(() => other[Symbol.asyncDispose]());
  await expect(check(other)).rejects.toThrow(`${addressOf(other)}: it is a master, and --redis leads to another`);
  await using own = await connectTestRedis(replica.port);
  await own.config('SET', 'appendfsync', 'everysec');
  await expect(check(replica)).rejects.toThrow(/appendfsync everysec/);
  await own.call('REPLICAOF', '127.0.0.1', '1');
  await expect(check(replica)).rejects.toThrow(/it does not follow its master now/);
});

test('an older record that a frontend left on a replica alone is named by `keyfleet doctor`, which fails', async () => {
  await using cluster = await startTestCluster();
  const { home, ports } = cluster;
  const password = home.secret('redis-password');
  using kms = Object.assign(kmsClient(cluster), { [Symbol.dispose]: () => kms.destroy() });
  const { KeyMetadata } = await kms.send(new CreateKeyCommand({}));
  const name = `kf:key:{us-east-1/${KeyMetadata!.KeyId!}}`;
  using operator = disposable(new Redis(ports.redis, { password }));
  await operator.config('SET', 'repl-diskless-sync-delay', '0');
  const settings = [...follow(ports.redis), '--requirepass', password, '--masterauth', password];
  const replica = await startRedis(settings);
  onTestFinished(() => replica[Symbol.asyncDispose]());
  await vi.waitUntil(async () => (await operator.info('replication')).includes('state=online'), PATIENCE_MS);
  await operator.config('SET', 'min-replicas-to-write', '1');

  const { domain, redis } = cliOptionsOf(cluster);
  const doctor = (...more: readonly string[]) => runKeyfleet('doctor', ...domain, ...redis, ...more);
  const nodes = ['--redis-nodes', `127.0.0.1:${ports.redis},${addressOf(replica)}`];
  expect(await doctor(...nodes)).toMatchObject({
    exitCode: 0,
    out: expect.stringContaining('replicas of Redis: 1 have what'),
  });
  expect((await doctor()).out).toContain(`every acknowledged write; its replicas are ${addressOf(replica)}`);

  const username = 'frontend';
  using frontend = disposable(
    new Redis(ports.redis, {
      username,
      password: readFileSync(home.redisPasswordFile(username), 'utf8').trim(),
    }),
  );
  const record = (await frontend.hget(name, 'record'))!;
  await frontend.eval(
    planting("redis.call('HSET', KEYS[1], 'record', 'older')", "redis.call('HSET', KEYS[1], 'record', ARGV[1])"),
    1,
    name,
    record,
  );
  const { exitCode, out } = await doctor(...nodes);
  expect(exitCode).toBe(1);
  expect(out).toContain(
    `NOT WELL  replicas of Redis: ${addressOf(replica)}: it has another ${name} record. See docs/recovery.md`,
  );
  // Without them, what can be seen is well.
  expect((await doctor()).exitCode).toBe(0);
  expect(await doctor('--redis-nodes', 'redis:x')).toMatchObject({ exitCode: 2 });
});
