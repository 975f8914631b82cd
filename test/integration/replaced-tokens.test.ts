import { Client, credentials } from '@grpc/grpc-js';
import { unary } from '@keyfleet/proto/unary';
import { systemClock } from '@keyfleet/shared/clock';
import { healthService } from '@keyfleet/shared/grpc/health';
import { giveIdentity } from '@keyfleet/shared/redis/store-identity';
import { storeAt, tokensAt } from '@keyfleet/shared/stored/names';
import { RedisStore } from '@keyfleet/domain-manager/store/redis-store';
import { TokenLog } from '@keyfleet/domain-manager/token-log';
import { TestDomain, withOtherKeys } from '@keyfleet/test-support/domain';
import { eventually, newFleet, type ServiceProcess } from '@keyfleet/test-support/fleet';
import { connectTestRedis } from '@keyfleet/test-support/redis-client';
import { useRedis } from '@keyfleet/test-support/redis-fixture';
import { readFileSync } from 'node:fs';
import { beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import { TokenWatch } from '../../services/domain-manager/src/token-watch.ts';

describe('a domain token that somebody replaced in Redis', () => {
  const redis = useRedis();
  const name = tokensAt('test');
  const domain = new TestDomain({ members: 3 });
  for (let i = 0; i < 3; i++) domain.rotate();
  const { anchor, clock } = domain;

  beforeEach(async () => {
    await redis.client.rpush(name, ...domain.tokens);
    await giveIdentity(redis.client, 'test');
  });

  /** A domain-manager's, which leads or not. */
  function start(storeId = '') {
    const store = new RedisStore(redis.writes, systemClock, {
      domain: 'test',
      storeId: () => storeId,
      operators: () => [],
    });
    const putBack: number[] = [];
    const restored: number[] = [];
    const said: string[] = [];
    const onPutBack = (generation: number): void => void putBack.push(generation);
    const onRestored = (...range: [from: number, to: number]): void => void restored.push(...range);
    const tokens = new TokenLog({ store, anchor, clock, monotonicClock: clock, onPutBack, onRestored });
    const events = { tokensUnreadable: (error: unknown) => void said.push((error as Error).message) };
    return { tokens, putBack, restored, said, watch: new TokenWatch({ tokens, events }) };
  }

  const stored = () => redis.client.lrangeBuffer(name, 0, -1);

  test.each([
    ['junk', Buffer.from('junk')],
    ['nothing', Buffer.of()],
    ['more than a token may have', Buffer.alloc(5 * 1024 * 1024)],
    ['an earlier token', domain.tokens[0]!],
  ])(
    'is put back by a domain-manager that runs: %s',
    async (_, other) => {
      const running = start();
      await using watch = running.watch;
      await watch.started();
      await redis.client.lset(name, 2, other);
      await eventually('it is back', async () => (await stored())[2]!.equals(domain.tokens[2]!), 15_000);
      expect(await stored()).toEqual(domain.tokens);
      expect(running).toMatchObject({ putBack: [3], said: [] });
      expect(watch.problem).toBeUndefined();
      const next = start();
      await using another = next.watch;
      await another.started();
      expect(next.tokens.generation).toBe(4);
    },
    20_000,
  );

  test.each(['a string', 'a sorted set'])(
    'is put back where %s stands in the place of all',
    async (type) => {
      const running = start();
      await using watch = running.watch;
      await watch.started();
      await redis.client.del(name);
      await (type === 'a string' ? redis.client.set(name, 'x') : redis.client.zadd(name, 0, 'x'));
      await eventually('they are back', async () => (await redis.client.type(name)) === 'list', 15_000);
      await running.tokens.refresh();
      expect(await stored()).toEqual(domain.tokens);
      expect(running).toMatchObject({ restored: [1, 4], putBack: [], said: [] });
      expect(watch.problem).toBeUndefined();
    },
    20_000,
  );

  test('is not put back in the place of all in another store, and a domain-manager that runs names what stands there', async () => {
    const running = start('another');
    await using watch = running.watch;
    await watch.started();
    await redis.client.del(name);
    await redis.client.set(name, 'x');
    await eventually('it notices', () => watch.problem !== undefined, 15_000);
    expect(watch.problem).toMatch(
      /place of the domain tokens \(kf:domain:\{test\}:tokens\), and this is not the store/,
    );
    expect(await redis.client.get(name)).toBe('x');
    await redis.client.del(name, storeAt('test'));
    await redis.client.set(name, 'x');
    await redis.client.set(storeAt('test'), 'x');
    await expect(running.tokens.refresh()).rejects.toThrow('and this is not the store that had them');
    expect(running).toMatchObject({ restored: [], putBack: [] });
    expect(running.tokens.generation).toBe(4);
  }, 20_000);

  test('has a domain-manager that starts where no list stands not serve, nor take the domain for a new one', async () => {
    await redis.client.del(name);
    await redis.client.set(name, 'x');
    const started = start();
    await using watch = started.watch;
    await watch.started();
    expect(watch.hadAll).toBe(false);
    expect(watch.problem).toContain('and this replica has none to put back: docs/recovery.md');
    const store = new RedisStore(redis.writes, systemClock, { domain: 'test', storeId: () => '', operators: () => [] });
    expect(await store.appendToken(1, domain.tokens[0]!)).toBe(false);
    expect(await redis.client.get(name)).toBe('x');
    await redis.client.del(name);
    await redis.client.rpush(name, ...domain.tokens);
    await eventually('it notices', () => watch.hadAll && watch.problem === undefined, 15_000);
    expect(started.tokens.generation).toBe(4);
  }, 20_000);

  test('is not put back into another store', async () => {
    const running = start('another');
    await using watch = running.watch;
    await watch.started();
    await redis.client.lset(name, 1, 'junk');
    for (let i = 0; i < 4; i++) await running.tokens.compareOne();
    expect((await stored())[1]!.toString()).toBe('junk');
    expect(running.putBack).toEqual([]);
  });

  test('by a genuine one stays, and a domain-manager that runs says so until it is gone', async () => {
    const running = start();
    await using watch = running.watch;
    await watch.started();
    const other = domain.witnessed(withOtherKeys(domain.tokens[2]!, domain.identities.get('hsm-1')!));
    await redis.client.lset(name, 2, other);
    await eventually('it notices', () => watch.problem !== undefined, 15_000);
    expect(watch.problem).toContain('the store holds another domain token 3 than before');
    expect((await stored())[2]).toEqual(other);
    expect(watch.hadAll).toBe(true);
    await redis.client.lset(name, 2, domain.tokens[2]!);
    await eventually('it notices', () => watch.problem === undefined, 15_000);
  }, 20_000);

  test('has a domain-manager that starts not serve, so that nobody stops those that have it', async () => {
    await redis.client.lset(name, 2, 'junk');
    const started = start();
    await using watch = started.watch;
    await watch.started();
    expect(started.tokens.generation).toBe(2);
    expect(watch.hadAll).toBe(false);
    expect(watch.problem).toContain('token 3 does not verify');
    await redis.client.lset(name, 2, domain.tokens[2]!);
    await eventually('it notices', () => watch.hadAll && watch.problem === undefined, 15_000);
    // Whoever writes to Redis takes no domain-manager away that had all tokens.
    await redis.client.rpush(name, 'junk');
    await eventually('it notices', () => watch.problem !== undefined, 15_000);
    expect(watch.hadAll).toBe(true);
  }, 20_000);
});

test('domain-managers mend the list while one of them runs, and one that starts alone is not ready until people do', async () => {
  await using fleet = await newFleet({ managers: 2, rotateEvery: '4s' });
  await fleet.startAll();
  await fleet.found();
  await using store = await connectTestRedis(fleet.redis.port);
  const name = tokensAt('test');
  await eventually('there are three tokens', async () => (await store.llen(name)) >= 3);
  const token = (await store.lindexBuffer(name, 1))!;
  const [first, second] = fleet.managers as [ServiceProcess, ServiceProcess];

  await second.end('SIGKILL');
  await store.lset(name, 1, 'junk');
  await eventually('it is back', async () => (await store.lindexBuffer(name, 1))!.equals(token));
  const said = 'something else stood in the place of a domain token in Redis; this replica has put the token back';
  await eventually('it says so', () => readFileSync(fleet.path('domain-manager-1.log'), 'utf8').includes(said));

  await first.end('SIGKILL');
  await store.lset(name, 1, 'junk');
  second.start();
  const health = new Client(fleet.manager(1), credentials.createInsecure());
  onTestFinished(() => health.close());
  await eventually('it is there', async () => (await statusOf(health, '')) === 'SERVING');
  expect(await statusOf(health, 'keyfleet.domain.v1.DomainManager')).toBe('NOT_SERVING');
  await store.lset(name, 1, token);
  await eventually(
    'it is ready',
    async () => (await statusOf(health, 'keyfleet.domain.v1.DomainManager')) === 'SERVING',
  );
});

async function statusOf(client: Client, service: string): Promise<string> {
  const { status } = (await unary(client, healthService['Check'] as never, { service }, 5_000)) as { status: string };
  return status;
}
