import { checkByInfo, checkDurability, newServiceCheck } from '@keyfleet/shared/redis/durability';
import { connectTestRedis } from '@keyfleet/test-support/redis-client';
import { startRedis, type TestServer } from '@keyfleet/test-support/servers';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';

let server: TestServer;
beforeAll(async () => {
  server = await startRedis();
});
afterAll(async () => {
  await using _ = server;
  // Whoever switches `appendonly` on has Redis write its file anew, which goes on in a process of its own.
  await using client = await connectTestRedis(server.port);
  const isAtRest = async () =>
    /aof_rewrite_in_progress:0\s+aof_rewrite_scheduled:0/.test(await client.info('persistence'));
  await vi.waitUntil(isAtRest, { timeout: 10_000 });
});

test('a Redis that writes through to its disk is durable', async () => {
  await using client = await connectTestRedis(server.port);
  expect(await checkDurability(client, 'strict')).toEqual({ replicas: 0 });
});

test.each([
  ['appendonly', 'no', 'yes', /appendonly no, appendfsync always/],
  ['appendfsync', 'everysec', 'always', /appendonly yes, appendfsync everysec.*Set "appendonly yes"/],
  ['maxmemory-policy', 'allkeys-lru', 'noeviction', /maxmemory-policy allkeys-lru.*Set "maxmemory-policy noeviction"/],
])('one with %s %s may lose acknowledged writes, and is refused in one line', async (name, value, before, message) => {
  await using client = await connectTestRedis(server.port);
  await client.config('SET', name, value);
  try {
    const checking = checkDurability(client, 'strict');
    await expect(checking).rejects.toThrow(message);
    await expect(checking).rejects.toMatchObject({
      name: 'ConfigError',
      message: expect.not.stringContaining('\n'),
    });
    expect(await checkDurability(client, 'relaxed')).toEqual({ replicas: 0 });
  } finally {
    await client.config('SET', name, before);
  }
});

test.each([
  ['appendonly', 'no', 'yes', /appendonly no.*Set "appendonly yes"/],
  ['maxmemory-policy', 'allkeys-lru', 'noeviction', /Set "maxmemory-policy noeviction"/],
])('without reading settings, %s %s is seen too', async (name, value, before, message) => {
  await using client = await connectTestRedis(server.port);
  await client.config('SET', name, value);
  try {
    await expect(checkByInfo(client, 'strict')).rejects.toThrow(message);
  } finally {
    await client.config('SET', name, before);
  }
});

test('one that keeps its settings to itself is refused in one line, unless they are not asked for', async () => {
  await using admin = await connectTestRedis(server.port);
  await admin.acl('SETUSER', 'default', '-config');
  try {
    await using client = await connectTestRedis(server.port);
    await expect(checkDurability(client, 'strict')).rejects.toThrow(/CONFIG GET.*Allow it, or set redis.durability/);
    expect(await checkByInfo(client, 'strict')).toEqual({ replicas: 0 });
  } finally {
    await admin.acl('SETUSER', 'default', '+config');
  }
});

test('a service that has no user of its own refuses one that is not written through to disk, and one that has goes by INFO', async () => {
  await using client = await connectTestRedis(server.port);
  await client.config('SET', 'appendfsync', 'everysec');
  try {
    await expect(newServiceCheck(client, { durability: 'strict' })()).rejects.toThrow(/appendfsync everysec/);
    expect(await newServiceCheck(client, { durability: 'strict', username: 'frontend' })()).toEqual({ replicas: 0 });
    expect(await newServiceCheck(client, { durability: 'relaxed' })()).toEqual({ replicas: 0 });
  } finally {
    await client.config('SET', 'appendfsync', 'always');
  }
});
