import { RedisCalls } from '@keyfleet/frontend/store/redis-calls';
import { type RedisClient, untilReady } from '@keyfleet/shared/redis/connect';
import type { DurableWrites } from '@keyfleet/shared/redis/durable-writes';
import { afterAll, beforeAll, beforeEach } from 'vitest';
import { connectTestRedis, PATIENCE_MS, writesOf } from './redis-client.ts';
import { startRedis, type TestServer } from './servers.ts';

export interface RedisFixture {
  readonly port: number;
  readonly client: RedisClient;
  readonly writes: DurableWrites;
  readonly calls: RedisCalls;
}

/** A Redis for this file's tests, empty before each. The answer's members exist once a test runs. */
export function useRedis(): RedisFixture {
  let server: TestServer;
  let client: RedisClient & AsyncDisposable;
  beforeAll(async () => {
    server = await startRedis();
    client = await connectTestRedis(server.port, PATIENCE_MS);
  });
  afterAll(async () => {
    await client[Symbol.asyncDispose]();
    await server[Symbol.asyncDispose]();
  });
  beforeEach(async () => {
    // A test may have cut it off.
    await untilReady(client, PATIENCE_MS);
    await client.flushall();
  });
  return {
    get port() {
      return server.port;
    },
    get client() {
      return client;
    },
    get writes() {
      return writesOf(client);
    },
    get calls() {
      return new RedisCalls({ client, writes: writesOf(client) });
    },
  };
}
