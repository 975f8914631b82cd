import { connectRedis, type RedisClient, RedisConfig, untilReady } from '@keyfleet/shared/redis/connect';
import { newServiceCheck } from '@keyfleet/shared/redis/durability';
import { TestAuthority } from '@keyfleet/test-support/certificates';
import { writesOf } from '@keyfleet/test-support/redis-client';
import { openStore } from '@keyfleet/test-support/redis-store';
import { startServer, type TestServer } from '@keyfleet/test-support/servers';
import { StoreLoad } from '@keyfleet/test-support/store-load';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { mkdtempDisposable, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';

// Three Redis and three Sentinels as on Kubernetes: mutual TLS, and the users of deploy/redis.

const deploy = join(import.meta.dirname, '../../deploy/redis');
const passwordOf = (user: string) => `password of ${user}`;
const resources = new AsyncDisposableStack();
let folder: string;
let tls: { certificateFile: string; keyFile: string; caFile: string };
let redis: readonly TestServer[];
let sentinels: readonly TestServer[] = [];

/** As users.sh does. */
function usersOf(file: string): string[] {
  const lines = readFileSync(join(deploy, file), 'utf8').split('\n');
  const users = lines.filter((line) => line.startsWith('user '));
  const on = users.map((line) =>
    line.replace(/^user (\S+)/, (_, name: string) => {
      return `user ${name} on #${createHash('sha256').update(passwordOf(name)).digest('hex')}`;
    }),
  );
  return [...on, 'user default off resetpass allkeys allchannels allcommands'];
}

function start(lines: (port: number) => readonly string[], ...args: readonly string[]): Promise<TestServer> {
  return startServer(async (port, dir) => {
    const file = join(dir, 'server.conf');
    const files = [
      `tls-cert-file ${tls.certificateFile}`,
      `tls-key-file ${tls.keyFile}`,
      `tls-ca-cert-file ${tls.caFile}`,
    ];
    const common = [
      'port 0',
      `tls-port ${port}`,
      'bind 127.0.0.1',
      `dir ${dir}`,
      ...files,
      'tls-auth-clients yes',
      'tls-replication yes',
    ];
    await writeFile(file, `${[...common, ...lines(port)].join('\n')}\n`);
    return { command: 'redis-server', args: [file, ...args] };
  });
}

const startOne = (master?: TestServer) =>
  start(() => [
    'appendonly yes',
    'appendfsync always',
    'min-replicas-to-write 1',
    'repl-diskless-sync-delay 0',
    ...usersOf('users.acl'),
    'masteruser replica',
    `masterauth "${passwordOf('replica')}"`,
    ...(master === undefined ? [] : [`replicaof 127.0.0.1 ${master.port}`]),
  ]);

const startSentinel = (master: TestServer) =>
  start(
    () => [
      ...usersOf('sentinel-users.acl'),
      'sentinel sentinel-user sentinel',
      `sentinel sentinel-pass "${passwordOf('sentinel')}"`,
      `sentinel monitor keyfleet 127.0.0.1 ${master.port} 2`,
      'sentinel auth-user keyfleet sentinel',
      `sentinel auth-pass keyfleet "${passwordOf('sentinel')}"`,
      'sentinel down-after-milliseconds keyfleet 5000',
      'sentinel failover-timeout keyfleet 15000',
    ],
    '--sentinel',
  );

/** As a service connects: to the master that Sentinels name, or to one server. */
async function connectAs(
  username: string,
  server?: TestServer,
  onProblem: (problem: Error) => void = () => {},
): Promise<RedisClient & AsyncDisposable> {
  const passwordFile = join(folder, username);
  await writeFile(passwordFile, passwordOf(username), { mode: 0o600 });
  const addresses = sentinels.map(({ port }) => `127.0.0.1:${port}`).join(',');
  const url = server ? `rediss://127.0.0.1:${server.port}` : `rediss+sentinel://${addresses}/keyfleet`;
  const client = connectRedis(RedisConfig.parse({ url, username, passwordFile, tls }), { onProblem });
  try {
    await untilReady(client, 30_000);
    return client;
  } catch (error) {
    await client[Symbol.asyncDispose]();
    throw error;
  }
}

beforeAll(async () => {
  folder = resources.use(await mkdtempDisposable(join(tmpdir(), 'keyfleet-sentinel-'))).path;
  const authority = await TestAuthority.make(folder, 'redis');
  tls = { ...(await authority.issue('127.0.0.1')), caFile: authority.caFile };
  const master = resources.use(await startOne());
  redis = [master, resources.use(await startOne(master)), resources.use(await startOne(master))];
  await using operator = await connectAs('operator', master);
  await vi.waitUntil(async () => (await operator.info('replication')).match(/state=online/g)?.length === 2, 60_000);
  const watching: TestServer[] = [];
  for (let i = 0; i < 3; i++) watching.push(resources.use(await startSentinel(master)));
  sentinels = watching;
  for (const sentinel of sentinels) {
    await using observer = await connectAs('operator', sentinel);
    const known = async (what: string) => ((await observer.call('SENTINEL', what, 'keyfleet')) as unknown[]).length;
    await vi.waitUntil(async () => (await known('REPLICAS')) === 2 && (await known('SENTINELS')) === 2, 60_000);
  }
}, 180_000);

afterAll(() => resources.disposeAsync());

test('acknowledged writes survive the death of the master under load, and writing goes on with the next', async () => {
  await using client = await connectAs('frontend');
  expect(await newServiceCheck(client, { username: 'frontend', durability: 'strict' })()).toEqual({ replicas: 1 });
  await using manager = await connectAs('domain-manager');
  expect(await manager.llen('kf:domain:{prod}:tokens')).toBe(0);
  const load = new StoreLoad(openStore({ client, writes: writesOf(client, 1), clock: { now: Date.now } }));
  await vi.waitUntil(() => load.acknowledged.length > 100, 60_000);
  const before = load.acknowledged.length;
  await redis[0]!.kill();
  await vi.waitUntil(() => load.errors.length > 0 && load.acknowledged.length > before + 300, 120_000);
  await load.stop();
  expect(await load.lost()).toEqual([]);
}, 240_000);

test('a service asks a Sentinel for nothing that it may not, and may not ask which others there are', async () => {
  for (const user of ['frontend', 'domain-manager']) {
    await using client = await connectAs(user);
    expect(await client.ping()).toBe('PONG');
  }
  for (const sentinel of sentinels) {
    await using operator = await connectAs('operator', sentinel);
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
  await using client = await connectAs('frontend', undefined, ({ message }) => problems.push(message));
  const lost = sentinels[2]!;
  await lost.kill();
  const refused = `Sentinel 127.0.0.1:${lost.port}: connect ECONNREFUSED 127.0.0.1:${lost.port}`;
  await vi.waitUntil(() => problems.includes(refused), 20_000);
  // The loss may be told while the client still connects.
  await vi.waitFor(() => client.ping(), 20_000);
  expect(problems.filter((problem) => problem === refused)).toHaveLength(1);
}, 60_000);
