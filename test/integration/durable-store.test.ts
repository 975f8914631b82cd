import { openStore } from '@keyfleet/test-support/redis-store';
import { runKeyfleet } from '@keyfleet/test-support/cli';
import { connectTestRedis, writesOf } from '@keyfleet/test-support/redis-client';
import { startRedis, type TestServer } from '@keyfleet/test-support/servers';
import { mkdtempDisposable } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { RedisStore as DomainStore } from '@keyfleet/domain-manager/store/redis-store';
import { ChangeFeed } from '@keyfleet/frontend/store/change-feed';
import { RedisCalls } from '@keyfleet/frontend/store/redis-calls';
import { StoreUnavailableError } from '@keyfleet/frontend/store/store';
import { newKey } from '@keyfleet/frontend/store/key-store.contract';
import type { RedisClient } from '@keyfleet/shared/redis/connect';
import { checkDurability } from '@keyfleet/shared/redis/durability';
import { DurabilityWatch } from '@keyfleet/shared/redis/durability-watch';
import { DurableWrites } from '@keyfleet/shared/redis/durable-writes';
import { StoreRefusedError } from '@keyfleet/shared/redis/store-guard';
import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';

const clock = { now: Date.now };

/** A frontend's connections: one to read and for the feed, one for durable writes. */
async function openFrontend(port: number, replicas: number) {
  const [client, writer] = [await connectTestRedis(port), await connectTestRedis(port)];
  const feed = new ChangeFeed(client, { serveStaleMs: 30_000, beatsAreWrites: () => false });
  const store = openStore({ client, writes: writesOf(writer, replicas), clock });
  await vi.waitUntil(() => feed.trusted, { timeout: 10_000 });
  return {
    client,
    writer,
    feed,
    store,
    async [Symbol.asyncDispose]() {
      await feed[Symbol.asyncDispose]();
      await client[Symbol.asyncDispose]();
      await writer[Symbol.asyncDispose]();
    },
  };
}

async function timed(work: () => Promise<unknown>): Promise<number> {
  const startedAt = performance.now();
  await work();
  return performance.now() - startedAt;
}

const usage = { operation: 'Encrypt', usedAt: 1, requestId: 'r', eventId: 'e' } as const;

describe('a replica that stalls', () => {
  const servers = new AsyncDisposableStack();
  let master: TestServer;
  let replica: TestServer;
  beforeAll(async () => {
    // The master must believe in the replica for longer than these tests stall it.
    const settings = [
      '--repl-diskless-sync-delay',
      '0',
      '--min-replicas-to-write',
      '1',
      '--min-replicas-max-lag',
      '60',
    ];
    master = servers.use(await startRedis(settings));
    replica = servers.use(await startRedis(['--replicaof', '127.0.0.1', `${master.port}`]));
    await using client = await connectTestRedis(master.port);
    while (!(await client.info('replication')).includes('state=online')) await delay(50);
  });
  // One that stalled in the test before has to catch up: a write waits for it no longer than 750 ms.
  beforeEach(async () => {
    await using client = await connectTestRedis(master.port);
    await vi.waitUntil(() => isEven(client), { timeout: 20_000 });
  });
  afterAll(() => servers.disposeAsync());

  /** The replica has told of all that the master has. */
  async function isEven(client: RedisClient): Promise<boolean> {
    const said = await client.info('replication');
    const [, replicas, masters] = /slave0:.*offset=(\d+)[^]*master_repl_offset:(\d+)/.exec(said) ?? [];
    return replicas !== undefined && replicas === masters;
  }

  async function stall(): Promise<AsyncDisposable> {
    await using client = await connectTestRedis(replica.port);
    const pid = Number(/^process_id:(\d+)/m.exec(await client.info('server'))?.[1]);
    process.kill(pid, 'SIGSTOP');
    return {
      async [Symbol.asyncDispose]() {
        process.kill(pid, 'SIGCONT');
      },
    };
  }

  test('has a write fail in time whose script Redis has lost', async () => {
    await using client = await connectTestRedis(master.port);
    const calls = new RedisCalls({ client, writes: writesOf(client, 1) });
    const insert = (name: string) => calls.script('kfInsertRecord', name, `${name}:events`, 'a record', '', 1);
    await vi.waitFor(() => insert('first'), { timeout: 10_000 });
    await client.call('SCRIPT', 'FLUSH');
    await vi.waitUntil(() => isEven(client), { timeout: 20_000 });
    await using _stalled = await stall();
    await expect(insert('second')).rejects.toThrow(StoreUnavailableError);
  });

  test('costs reads, the change feed and last usages nothing, and fails what must be durable in time', async () => {
    await using frontend = await openFrontend(master.port, 1);
    const { store, feed } = frontend;
    const keys = Array.from({ length: 20 }, () => newKey());
    for (const key of keys) await store.insertKey(key);
    await using stalled = await stall();

    let isWriting = true;
    const writing = Promise.allSettled(keys.map((key) => store.updateKey(key))).finally(() => (isWriting = false));
    await store.keepLastUsages(keys.map((key) => ({ ...key, usage })));
    expect(isWriting).toBe(true);
    let [read, trusted] = [0, 0];
    while (isWriting) {
      await store.findKey(keys[0]!.region, keys[0]!.keyId);
      read++;
      if (feed.trusted) trusted++;
      await delay(20);
    }
    // What waited for the writes would have been done once. Of a core that another file has, beats come late, too.
    expect(read).toBeGreaterThan(5);
    expect(trusted).toBeGreaterThan(0.8 * read);
    const outcomes = await writing;
    expect(outcomes.map(({ status }) => status)).toEqual(keys.map(() => 'rejected'));
    // However many wait at once, none is made after its turn: the next finds an idle connection.
    expect(await timed(() => store.updateKey({ ...keys[0]!, revision: 2 }).catch(() => {}))).toBeLessThan(2_000);
    await stalled[Symbol.asyncDispose]();
    await vi.waitFor(() => store.insertKey(newKey()), { timeout: 10_000 });
  });

  test('keeps a domain token from being acknowledged, and from being read as durable', async () => {
    await using client = await connectTestRedis(master.port);
    const store = new DomainStore(writesOf(client, 1), clock, {
      domain: 'stalled',
      storeId: () => '',
      operators: () => [],
    });
    expect(await store.appendToken(1, Buffer.from('one'))).toBe(true);
    await store.confirmTokens();
    const proposal = { proposalId: 'ab', command: Buffer.of(1), signatures: [], expiresAt: Date.now() + 60_000 };
    {
      await using _stalled = await stall();
      await expect(store.appendToken(2, Buffer.from('two'))).rejects.toThrow('replicas');
      await expect(store.putProposal(proposal, 8)).rejects.toThrow('replicas');
      await expect(store.confirmTokens()).rejects.toThrow('replicas');
    }
    await vi.waitFor(() => store.confirmTokens(), { timeout: 10_000 });
    expect(await store.putProposal(proposal, 8)).toBe(true);
  });

  test('keeps a restore from being called done, and the same restore goes on when it is back', async () => {
    await using dir = await mkdtempDisposable(join(tmpdir(), 'keyfleet-test-'));
    const at = ['--redis', `redis://127.0.0.1:${master.port}`];
    const file = join(dir.path, 'backup');
    await using frontend = await openFrontend(master.port, 1);
    await frontend.client.flushall();
    await frontend.store.insertKey(newKey());
    expect(await runKeyfleet('backup', ...at, '--out', file)).toMatchObject({ exitCode: 0 });
    await frontend.client.flushall();
    {
      await using _stalled = await stall();
      const { exitCode, notes } = await runKeyfleet('restore', file, ...at);
      expect([exitCode, notes]).toEqual([
        1,
        expect.stringContaining('fewer than 1 replicas have confirmed the writes'),
      ]);
    }
    expect(await runKeyfleet('restore', file, ...at)).toMatchObject({ exitCode: 0, notes: '' });
  });
});

describe('a Redis that is away', () => {
  test('gets nothing afterwards of what was refused meanwhile, and is not waited for longer than a request', async () => {
    await using server = await startRedis();
    await using frontend = await openFrontend(server.port, 0);
    const { store, client, writer } = frontend;
    await server.kill();
    await vi.waitUntil(() => client.status !== 'ready' && writer.status !== 'ready', 4_000);
    const keys = Array.from({ length: 10 }, () => newKey());
    const alias = { name: 'alias/late', targetKeyId: 'x', createdAt: 1, updatedAt: 1 };
    const refused = await timed(() =>
      Promise.all([
        ...keys.map((key) => expect(store.insertKey(key)).rejects.toThrow(StoreUnavailableError)),
        expect(store.insertAlias(keys[0]!, alias, 5)).rejects.toThrow(StoreUnavailableError),
        ...keys.map(() => expect(store.findKey('us-east-1', 'x')).rejects.toThrow(StoreUnavailableError)),
      ]),
    );
    expect(refused).toBeLessThan(5_000);
    await server.restart();
    const found = () => Promise.all(keys.map(({ region, keyId }) => store.findKey(region, keyId)));
    expect(await vi.waitFor(found, { timeout: 10_000 })).toEqual(keys.map(() => undefined));
    // What would come late would come before this.
    await vi.waitFor(() => store.insertKey(newKey()), { timeout: 10_000 });
    expect(await found()).toEqual(keys.map(() => undefined));
    expect(await store.findAlias(keys[0]!, alias.name)).toBeUndefined();
  });
});

describe('a Redis that can no longer be relied on', () => {
  test('is noticed when the connection is made anew, and writes wait until it is put right', async () => {
    await using server = await startRedis();
    await using client = await connectTestRedis(server.port);
    const said: string[] = [];
    const check = () => checkDurability(client, 'strict');
    using watch = new DurabilityWatch(client, check, ({ message }) => said.push(message));
    const writes = new DurableWrites(client, () => watch.current());
    const store = openStore({ client, writes, clock });
    await store.insertKey(newKey());
    await client.config('SET', 'maxmemory-policy', 'allkeys-lru');
    await client.call('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'no').catch(() => {});
    await vi.waitUntil(() => watch.refusal !== undefined, { timeout: 10_000 });
    await expect(store.insertKey(newKey())).rejects.toThrow(StoreRefusedError);
    expect(said).toEqual([expect.stringMatching(/maxmemory-policy allkeys-lru.*Set "maxmemory-policy noeviction"/)]);
    await client.config('SET', 'maxmemory-policy', 'noeviction');
    await client.call('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'no').catch(() => {});
    await vi.waitFor(() => store.insertKey(newKey()), { timeout: 10_000 });
    expect(watch.refusal).toBeUndefined();
  });
});
