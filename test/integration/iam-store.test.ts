import { testMacs } from '@keyfleet/test-support/record-macs';
import { iamStoreContract, newUser } from '@keyfleet/frontend/identities/iam-store.contract';
import { RedisIamStore } from '@keyfleet/frontend/identities/redis-iam-store';
import { RedisCalls } from '@keyfleet/frontend/store/redis-calls';
import { DamagedRecordError } from '@keyfleet/frontend/store/store';
import type { RedisClient } from '@keyfleet/shared/redis/connect';
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

const open = () => new RedisIamStore(new RedisCalls({ client, writes: writesOf(client) }), testMacs());

describe('the Redis store', () => {
  iamStoreContract(async () => open());

  test.each([
    ['half a record', (text: string) => text.slice(0, text.length / 2)],
    ['a member that nobody knows', (text: string) => text.replace('{', '{"surprise":1,')],
    ['the record of another account', (text: string) => text.replace('111122223333', '999999999999')],
    ['the record of another user', (text: string) => text.replace('"alice"', '"bob"')],
  ])('%s is a fault that names the user, never a guess', async (_, damage) => {
    await open().insert(newUser('alice'), 9);
    const text = await client.hget('kf:iam:{111122223333}', 'user/alice');
    await client.hset('kf:iam:{111122223333}', 'user/alice', damage(text!));
    const reading = open().find('111122223333', 'user', 'alice');
    await expect(reading).rejects.toThrow(DamagedRecordError);
    await expect(reading).rejects.toThrow('kf:iam:{111122223333} user/alice');
  });
});
