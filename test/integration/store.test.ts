import { newSealedRecords, openStore, testMacs } from '@keyfleet/test-support/redis-store';
import { encodeKey } from '@keyfleet/frontend/store/key-record';
import { CachedGrants } from '@keyfleet/frontend/grants/cached-grants';
import { MemoryGrantStore } from '@keyfleet/frontend/grants/memory-grant-store';
import { CachedStore } from '@keyfleet/frontend/store/cached-store';
import { ChangeFeed } from '@keyfleet/frontend/store/change-feed';
import { RedisCalls } from '@keyfleet/frontend/store/redis-calls';
import { RedisFleetSecrets } from '@keyfleet/frontend/store/redis-fleet-secrets';
import type { RedisStore } from '@keyfleet/frontend/store/redis-store';
import {
  ConflictError,
  DamagedRecordError,
  type KeyStore,
  StoreUnavailableError,
} from '@keyfleet/frontend/store/store';
import { fleetSecretsContract } from '@keyfleet/frontend/store/fleet-secrets.contract';
import { newKey } from '@keyfleet/frontend/store/key-store.contract';
import { newAccessKey, storeContract } from '@keyfleet/frontend/store/store.contract';
import type { RedisClient } from '@keyfleet/shared/redis/connect';
import { DUE_SHARDS } from '@keyfleet/shared/due-queue';
import { dueEntryOf, dueKeyOf, dueShardOf } from '@keyfleet/shared/stored/due-entries';
import { entryOf, keyListAt, keyListsAt } from '@keyfleet/shared/stored/key-list';
import { aliasesAt, keyAt, keysAt } from '@keyfleet/shared/stored/names';
import { connectTestRedis, dyingAfter, PATIENCE_MS, writesOf } from '@keyfleet/test-support/redis-client';
import { startRedis, type TestServer } from '@keyfleet/test-support/servers';
import { AbstractConnector, Redis } from 'ioredis';
import { createConnection } from 'node:net';
import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';

const clock = { now: Date.now };

let server: TestServer;
beforeAll(async () => {
  server = await startRedis();
});
afterAll(async () => {
  await server[Symbol.asyncDispose]();
});
beforeEach(async () => {
  await using client = await connect();
  await client.flushall();
});

const connect = () => connectTestRedis(server.port, PATIENCE_MS);

/** A frontend's view of the store: its own connections, cache and feed. */
async function openFrontend() {
  const client = await connect();
  const reads: string[] = [];
  const store = openStore({ client, writes: writesOf(client), clock });
  const counted: RedisStore = new Proxy(store, {
    get: (target, member) => {
      if (member === 'findKey') {
        return (region: string, keyId: string) => {
          reads.push(keyId);
          return target.findKey(region, keyId);
        };
      }
      const value: unknown = Reflect.get(target, member);
      return typeof value === 'function' ? (value.bind(target) as unknown) : value;
    },
  });
  const feed = new ChangeFeed(client, { serveStaleMs: 30_000, beatsAreWrites: () => false });
  const grants = new CachedGrants(new MemoryGrantStore(async () => true), feed);
  const cached = new CachedStore(counted, feed, { maxKeyBytes: 1 << 20, grants });
  return {
    store: cached,
    feed,
    client,
    reads,
    async [Symbol.asyncDispose]() {
      await feed[Symbol.asyncDispose]();
      await client[Symbol.asyncDispose]();
    },
  };
}

const trusted = (feed: ChangeFeed) => vi.waitUntil(() => feed.trusted, { timeout: 10_000 });

async function descriptionOf(store: KeyStore, { region, keyId }: { region: string; keyId: string }) {
  return (await store.findKey(region, keyId))?.description;
}

describe('the Redis store', () => {
  storeContract(async () => {
    const client = await connect();
    const store = openStore({ client, writes: writesOf(client), clock });
    return Object.assign(store, { [Symbol.asyncDispose]: () => client[Symbol.asyncDispose]() });
  });
});

fleetSecretsContract(async () => {
  const client = await connect();
  const secrets = new RedisFleetSecrets(new RedisCalls({ client, writes: writesOf(client) }));
  return Object.assign(secrets, { [Symbol.asyncDispose]: () => client[Symbol.asyncDispose]() });
});

describe('the Redis store behind a cache', () => {
  storeContract(async () => {
    const client = await connect();
    const store = openStore({ client, writes: writesOf(client), clock });
    const feed = new ChangeFeed(client, { serveStaleMs: 30_000, beatsAreWrites: () => false });
    const grants = new CachedGrants(new MemoryGrantStore(async () => true), feed);
    const cached = new CachedStore(store, feed, { maxKeyBytes: 1 << 20, grants });
    await trusted(feed);
    return Object.assign(cached, {
      now: store.now.bind(store),
      listDue: store.listDue.bind(store),
      removeDue: store.removeDue.bind(store),
      claimEvents: store.claimEvents.bind(store),
      findAccessKey: store.findAccessKey.bind(store),
      insertAccessKey: store.insertAccessKey.bind(store),
      deleteAccessKey: store.deleteAccessKey.bind(store),
      hasAccount: store.hasAccount.bind(store),
      findFirstAccessKey: store.findFirstAccessKey.bind(store),
      insertFirstAccessKey: store.insertFirstAccessKey.bind(store),
      forgetPolicies: store.forgetPolicies.bind(store),
      findLastUsage: store.findLastUsage.bind(store),
      keepLastUsages: store.keepLastUsages.bind(store),
      findAccessKeyUse: store.findAccessKeyUse.bind(store),
      keepAccessKeyUse: store.keepAccessKeyUse.bind(store),
      async [Symbol.asyncDispose]() {
        await feed[Symbol.asyncDispose]();
        await client[Symbol.asyncDispose]();
      },
    });
  });
});

const scope = { accountId: '111122223333', region: 'us-east-1' };

describe('records', () => {
  let client: RedisClient & AsyncDisposable;
  let store: RedisStore;
  beforeEach(async () => {
    client = await connect();
    store = openStore({ client, writes: writesOf(client), clock });
    return () => client[Symbol.asyncDispose]();
  });

  async function countListed(): Promise<number> {
    const sizes = await Promise.all(keyListsAt(scope).map((list) => client.zcard(list)));
    return sizes.reduce((sum, size) => sum + size, 0);
  }

  test.each([
    ['a later schema version', (text: string) => text.replace('"schemaVersion":2', '"schemaVersion":3')],
    ['half a record', (text: string) => text.slice(0, text.length / 2)],
    ['a member that nobody knows', (text: string) => text.replace('{', '{"surprise":1,')],
    ['the record of another key', (text: string) => text.replaceAll(/"keyId":"./g, '"keyId":"x')],
    ['nothing', () => ''],
  ])('%s is a fault that names the key, never a guess', async (_, damage) => {
    const key = newKey();
    await store.insertKey(key);
    const [at] = await client.keys('kf:key:*');
    const text = await client.hget(at ?? '', 'record');
    await client.hset(at ?? '', 'record', damage(text ?? ''));
    const reading = store.findKey(key.region, key.keyId);
    await expect(reading).rejects.toThrow(DamagedRecordError);
    await expect(reading).rejects.toThrow(key.keyId);
  });

  test.each([0, 1, 2])(
    'who dies after %i writes of a first access key leaves none that is not the first',
    async (count) => {
      const dying = openStore({ client, writes: writesOf(dyingAfter(count, client)), clock });
      await dying.insertFirstAccessKey(newAccessKey('AKIA1', '1')).catch(() => false);
      const isSecond = await store.insertFirstAccessKey(newAccessKey('AKIA2', '1'));
      const first = isSecond ? 'AKIA2' : 'AKIA1';
      expect(await store.findFirstAccessKey('1')).toEqual(newAccessKey(first, '1'));
      expect(await client.keys('kf:access-key:*')).toEqual([`kf:access-key:{${first}}`]);
      // Found once, it is like any other: whoever deletes it does not see it again.
      await client.del(`kf:access-key:{${first}}`);
      expect(await store.findFirstAccessKey('1')).toBeUndefined();
      expect(await store.insertFirstAccessKey(newAccessKey('AKIA3', '1'))).toBe(false);
    },
  );

  test('a list skips what has no record, and clears it away when that has been so for long, whatever the clocks', async () => {
    let now = 0;
    const lister = openStore({ client, writes: writesOf(client), clock, monotonicClock: { now: () => now } });
    // By the clock of whoever makes it, one of them is years old.
    const [kept, crashed, making] = [newKey(), newKey({ createdAt: Date.now() }), newKey({ createdAt: 1 })];
    for (const key of [kept, crashed, making]) await store.insertKey(key);
    for (const { keyId } of [crashed, making]) await client.del(`kf:key:{us-east-1/${keyId}}`);
    expect(await lister.listKeys(kept, 10)).toEqual({ items: [kept.keyId] });
    now = 3_600_000;
    expect(await lister.listKeys(kept, 10)).toEqual({ items: [kept.keyId] });
    expect(await countListed()).toBe(3);
    now += 1;
    expect(await lister.listKeys(kept, 10)).toEqual({ items: [kept.keyId] });
    expect(await countListed()).toBe(1);
  });

  test('keys in the one list of the first release are listed with the others, and move into the lists of now while they are', async () => {
    const keys = Array.from({ length: 600 }, () => newKey());
    const [old, young] = [keys.slice(0, 550), keys.slice(550)];
    for (const key of keys) await store.insertKey(key);
    for (const { keyId, createdAt } of old) {
      await client.zrem(keyListAt(scope, keyId), entryOf({ keyId, createdAt }));
      await client.zadd(keysAt(scope), 0, entryOf({ keyId, createdAt }));
    }
    const ids = keys.map(({ keyId }) => keyId).toSorted();
    expect((await walkKeys(store)).toSorted()).toEqual(ids);
    // Where a page of that release ended.
    const marker = entryOf(old[499]!);
    const rest = await store.listKeys(scope, 1000, marker);
    expect(new Set(rest.items)).toEqual(new Set([...old.slice(500), ...young].map(({ keyId }) => keyId)));

    const [gone] = old;
    await store.deleteKey(gone!, { id: 'a', text: '{}' });
    await store.clearTraces(gone!);
    const first = await store.listKeys(scope, 100);
    await newSealedRecords(client).load([keysAt(scope)]);
    expect(await client.exists(keysAt(scope))).toBe(0);
    const left = ids.filter((keyId) => keyId !== gone!.keyId);
    expect((await walkKeys(store)).toSorted()).toEqual(left);
    // Whoever was on the way meanwhile misses none.
    expect(new Set([...first.items, ...(await walkKeys(store, first.next))])).toEqual(new Set(left));
    expect(await countListed()).toBe(left.length);
  });

  test('an alias that a torn index gives to a key outlives that key', async () => {
    const [gone, other] = [newKey(), newKey()];
    await store.insertKey(gone);
    const alias = { name: 'alias/torn', targetKeyId: other.keyId, createdAt: 1, updatedAt: 1 };
    await store.insertAlias(other, alias, 50);
    await client.zadd('kf:alias-targets:{111122223333/us-east-1}', 0, `${gone.keyId}/alias/torn`);
    await store.deleteKey(gone, { id: 'a', text: '{}' });
    await store.clearTraces(gone);
    expect(await store.findAlias(other, 'alias/torn')).toEqual(alias);
    expect((await store.listAliases(other, 9)).items).toEqual([alias]);
    expect((await store.listAliases(other, 9, undefined, gone.keyId)).items).toEqual([]);
  });

  test('a list that somebody writes gives a key no alias that names another', async () => {
    const alias = { name: 'alias/of-one', targetKeyId: 'one', createdAt: 1, updatedAt: 1 };
    await store.insertAlias(scope, alias, 50);
    await client.zadd(aliasesAt(scope)[2], 0, `other/${alias.name}`);
    expect((await store.listAliases(scope, 9, undefined, 'other')).items).toEqual([]);
    expect((await store.listAliases(scope, 9, undefined, 'one')).items).toEqual([alias]);
  });

  test('an alias from before it was moved or deleted is not believed when somebody puts it back', async () => {
    const alias = { name: 'alias/back', targetKeyId: 'x', createdAt: 1, updatedAt: 1 };
    const [at] = aliasesAt(scope);
    await store.insertAlias(scope, alias, 50);
    const old = (await client.hget(at, alias.name))!;
    await store.updateAlias(scope, { ...alias, targetKeyId: 'y', updatedAt: 2 }, { from: 'x', quota: 50 });
    const moved = (await store.findAlias(scope, alias.name))!;
    const newer = (await client.hget(at, alias.name))!;
    await client.hset(at, alias.name, old);
    await expect(store.findAlias(scope, alias.name)).rejects.toThrow(DamagedRecordError);
    expect(await store.listAliases(scope, 9)).toEqual({ items: [], isLacking: true });
    await client.hset(at, alias.name, newer);
    await store.deleteAlias(scope, moved);
    await client.hset(at, alias.name, newer);
    await expect(store.findAlias(scope, alias.name)).rejects.toThrow(DamagedRecordError);
    // Who takes the name anew is believed, by whatever clock.
    await client.hdel(at, alias.name);
    expect(await store.insertAlias(scope, alias, 50)).toBe('done');
    expect(await store.findAlias(scope, alias.name)).toMatchObject({ targetKeyId: 'x' });
  });

  test('a due entry that stands among those of other keys is taken from there', async () => {
    const due = dueKeyOf(dueEntryOf(newKey(), 1));
    const shard = (dueShardOf(due) + 1) % DUE_SHARDS;
    await client.zadd(`kf:due:{${shard}}`, 0, due.entry);
    expect((await store.listDue(shard, 1, { limit: 9 })).items).toEqual([due]);
    await store.removeDue(shard, due);
    expect(await client.exists(`kf:due:{${shard}}`)).toBe(0);
  });

  test('a revision beside the record, which somebody put there, keeps no key from being changed or deleted', async () => {
    for (const revision of ['0', '7', 'rubbish', '']) {
      const key = newKey();
      await store.insertKey(key);
      const at = keyAt(key.region, key.keyId);
      await client.hset(at, { revision });
      const disabled = await store.updateKey({ ...key, state: 'Disabled' });
      expect(await client.hget(at, 'revision')).toBe('2');
      await expect(store.updateKey({ ...key, state: 'Enabled' })).rejects.toThrow(ConflictError);
      await client.hset(at, { revision });
      await store.deleteKey(disabled, { id: 'a', text: '{}' });
      expect(await store.findKey(key.region, key.keyId)).toBeUndefined();
    }
  });

  test('what is acknowledged survives kill -9', async () => {
    const keys = Array.from({ length: 50 }, () => newKey());
    await Promise.all(keys.map((key) => store.insertKey(key)));
    await server.kill();
    await server.restart();
    const found = () => Promise.all(keys.map(({ region, keyId }) => store.findKey(region, keyId)));
    const after = await vi.waitFor(found, { timeout: 10_000 });
    expect(after.filter((key) => key === undefined)).toEqual([]);
  });
});

describe('a Redis that is out of reach', () => {
  test('gives errors in bounded time while it is down or hangs, and serves by itself when it is back', async () => {
    await using client = await connectTestRedis(server.port);
    const store = openStore({ client, writes: writesOf(client), clock });
    const key = newKey();
    await store.insertKey(key);

    await server.kill();
    const startedAt = performance.now();
    await expect(store.findKey(key.region, key.keyId)).rejects.toThrow(StoreUnavailableError);
    await expect(store.insertKey(newKey())).rejects.toThrow(StoreUnavailableError);
    // Each waits three seconds for another master.
    expect(performance.now() - startedAt).toBeLessThan(10_000);
    await server.restart();
    await vi.waitFor(() => store.findKey(key.region, key.keyId), { timeout: 10_000 });

    await using hung = await hang(client);
    await expect(store.updateKey({ ...key, description: 'late' })).rejects.toThrow(StoreUnavailableError);
    await hung[Symbol.asyncDispose]();
    const current = await vi.waitFor(() => store.findKey(key.region, key.keyId), { timeout: 10_000 });
    expect(current?.description).toMatch(new RegExp(`^(late|${key.description})$`, 'u'));
    await store.insertKey(newKey());
  });
});

/** Stops the server process without ending it, until it is disposed of. */
async function hang(client: RedisClient): Promise<AsyncDisposable> {
  const pid = Number(/^process_id:(\d+)/m.exec(await client.info('server'))?.[1]);
  process.kill(pid, 'SIGSTOP');
  return {
    async [Symbol.asyncDispose]() {
      process.kill(pid, 'SIGCONT');
    },
  };
}

describe('caches of several frontends', () => {
  test('a change by one is seen by all, and at once by the one that made it', async () => {
    await using one = await openFrontend();
    await using two = await openFrontend();
    const key = newKey();
    await one.store.insertKey(key);
    await Promise.all([trusted(one.feed), trusted(two.feed)]);
    for (const { store } of [one, two, one, two]) await descriptionOf(store, key);
    expect([one.reads.length, two.reads.length]).toEqual([1, 1]);

    await one.store.updateKey({ ...key, description: 'new' });
    expect(await descriptionOf(one.store, key)).toBe('new');
    await vi.waitFor(async () => expect(await descriptionOf(two.store, key)).toBe('new'), 4_000);
  });

  test('a moved alias is seen by all', async () => {
    await using one = await openFrontend();
    await using two = await openFrontend();
    const alias = { name: 'alias/a', targetKeyId: 'x', createdAt: 1, updatedAt: 1 };
    await one.store.insertAlias(scope, alias, 50);
    await Promise.all([trusted(one.feed), trusted(two.feed)]);
    for (const { store } of [one, two]) expect(await store.findAlias(scope, 'alias/a')).toEqual(alias);
    await two.store.updateAlias(scope, { ...alias, targetKeyId: 'y' }, { from: 'x', quota: 50 });
    expect((await two.store.findAlias(scope, 'alias/a'))?.targetKeyId).toBe('y');
    await vi.waitFor(async () => expect((await one.store.findAlias(scope, 'alias/a'))?.targetKeyId).toBe('y'), 4_000);
  });

  test('hears of changes although ioredis gave its subscription up while it connected', async () => {
    let connects = 0;
    class Connector extends AbstractConnector {
      constructor() {
        super(1_000);
      }
      /** As a client is told of a failover while it looks for the master. The subscription is the second to connect. */
      async connect() {
        connects += 1;
        if (connects === 2) throw new Error('Connection is closed.');
        return (this.stream = createConnection(server.port, '127.0.0.1'));
      }
    }
    const client = new Redis({ Connector });
    {
      await using feed = new ChangeFeed(client, { serveStaleMs: 0, beatsAreWrites: () => false });
      await trusted(feed);
    }
    client.disconnect();
    expect(connects).toBe(3);
  });

  test('a cache that may have missed a change is not believed', async () => {
    await using one = await openFrontend();
    const key = newKey();
    await one.store.insertKey(key);
    await trusted(one.feed);
    await descriptionOf(one.store, key);
    await one.client.call('CLIENT', 'KILL', 'TYPE', 'pubsub');
    await vi.waitUntil(() => !one.feed.trusted, { timeout: 10_000 });
    // Nobody hears of this one.
    const place = { name: keyAt(key.region, key.keyId), field: 'record' };
    const record = JSON.stringify({ ...(JSON.parse(encodeKey(key)) as object), description: 'changed behind' });
    await one.client.hset(place.name, place.field, (await testMacs().withMac(place, record)).text);
    expect(await descriptionOf(one.store, key)).toBe('changed behind');
    await trusted(one.feed);
    expect(await descriptionOf(one.store, key)).toBe('changed behind');
  });
});

async function walkKeys(store: KeyStore, from?: string): Promise<string[]> {
  const found: string[] = [];
  let after = from;
  do {
    const { items, next } = await store.listKeys(scope, 70, after);
    found.push(...items);
    after = next;
  } while (after !== undefined);
  return found;
}
