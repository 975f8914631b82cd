import { openStore } from '@keyfleet/test-support/redis-store';
import { testMacs } from '@keyfleet/test-support/record-macs';
import { grantStoreContract, newGrant } from '@keyfleet/frontend/grants/grant-store.contract';
import { RedisGrantStore } from '@keyfleet/frontend/grants/redis-grant-store';
import { RedisCalls } from '@keyfleet/frontend/store/redis-calls';
import { newKey } from '@keyfleet/frontend/store/store.contract';
import { DamagedRecordError } from '@keyfleet/frontend/store/store';
import type { RedisClient } from '@keyfleet/shared/redis/connect';
import { grantsAt } from '@keyfleet/shared/stored/grants';
import { connectTestRedis, writesOf } from '@keyfleet/test-support/redis-client';
import { startRedis, type TestServer } from '@keyfleet/test-support/servers';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';

let server: TestServer;
let client: RedisClient & AsyncDisposable;
beforeAll(async () => {
  server = await startRedis();
  client = await connectTestRedis(server.port);
});
afterAll(async () => {
  await client[Symbol.asyncDispose]();
  await server[Symbol.asyncDispose]();
});
beforeEach(async () => {
  await client.flushall();
});

let now = 0;
const open = () => {
  const writes = writesOf(client);
  return {
    keys: openStore({ client, writes, clock: { now: Date.now } }),
    grants: new RedisGrantStore(new RedisCalls({ client, writes }), testMacs(), { now: () => now }),
  };
};

describe('the Redis store', () => {
  grantStoreContract(async () => open());
});

describe('records of grants', () => {
  test.each([
    ['half a record', (text: string) => text.slice(0, text.length / 2)],
    ['a member that nobody knows', (text: string) => text.replace('{', '{"surprise":1,')],
    ['the record of another key', (text: string) => text.replace(/"keyId":"./, '"keyId":"x')],
    ['an operation that there is not', (text: string) => text.replace('"Encrypt"', '"kms:*"')],
  ])('%s is a fault that names the grant, never a guess', async (_, damage) => {
    const { keys, grants } = open();
    const key = newKey();
    await keys.insertKey(key);
    const grant = newGrant(key);
    await grants.insert(grant, 9);
    const [at] = grantsAt(key);
    await client.hset(at, grant.grantId, damage((await client.hget(at, grant.grantId))!));
    const reading = grants.find(key, grant.grantId);
    await expect(reading).rejects.toThrow(DamagedRecordError);
    await expect(reading).rejects.toThrow(grant.grantId);
  });

  test('nothing is left of a key that is deleted', async () => {
    const { keys, grants } = open();
    const key = newKey();
    await keys.insertKey(key);
    for (let i = 0; i < 20; i++) await grants.insert(newGrant(key, { name: `n${i}`, retiring: `arn:${i}` }), 50);
    await keys.deleteKey(key, '{}');
    await keys.forgetDeletion(key);
    await keys.clearTraces(key);
    await grants.clear(key);
    expect(await client.keys('*')).toEqual([]);
  });

  test('what a crash left in the list of a retiring principal goes when somebody lists, an hour later', async () => {
    const { keys, grants } = open();
    const key = newKey();
    await keys.insertKey(key);
    const retiring = 'arn:aws:iam::111122223333:user/carol';
    const grant = newGrant(key, { retiring });
    await grants.insert(grant, 9);
    await client.del(grantsAt(key)[0]);
    const list = () => grants.listRetirable(key.region, retiring, 9);
    expect(await list()).toEqual({ items: [] });
    expect(await client.keys('kf:retirable:*')).toHaveLength(1);
    now += 3_600_001;
    expect(await list()).toEqual({ items: [] });
    expect(await client.keys('kf:retirable:*')).toEqual([]);
  });
});
