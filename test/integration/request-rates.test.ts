import { awsRates } from '@keyfleet/frontend/quotas/rates';
import { RedisAsked } from '@keyfleet/frontend/quotas/redis-asked';
import { RequestRates } from '@keyfleet/frontend/quotas/request-rates';
import { ratesAt } from '@keyfleet/shared/stored/names';
import { expect, onTestFinished, test, vi } from 'vitest';
import { useRedis } from '@keyfleet/test-support/redis-fixture';

const alice = { accountId: '111122223333', region: 'us-east-1' };

const redis = useRedis();

const asked = () => new RedisAsked(redis.calls);

test('a frontend hears what was asked of each other one, and not of itself', async () => {
  const [one, two, three] = [asked(), asked(), asked()];
  expect(await one.exchange(alice, { CreateKey: 5 })).toEqual([]);
  expect(await two.exchange(alice, { CreateKey: 7, CreateGrant: 1 })).toEqual([{ CreateKey: 5 }]);
  expect(await one.exchange(alice, { CreateKey: 6 })).toEqual([{ CreateKey: 7, CreateGrant: 1 }]);
  const heard = await three.exchange(alice, {});
  expect(heard).toHaveLength(2);
  expect(heard).toEqual(expect.arrayContaining([{ CreateKey: 6 }, { CreateKey: 7, CreateGrant: 1 }]));
  expect(await three.exchange({ ...alice, region: 'eu-west-1' }, {})).toEqual([]);
});

test('what a frontend that is gone told no longer counts, and goes', async () => {
  const name = ratesAt(alice);
  await redis.client.hset(name, 'gone', '1 {"CreateKey":9}', 'odd', 'no time');
  const heard = await asked().exchange(alice, {});
  expect(heard).not.toContainEqual({ CreateKey: 9 });
  expect(await redis.client.hexists(name, 'gone')).toBe(0);
  expect(await redis.client.pttl(name)).toBeGreaterThan(0);
});

test('what is dated ahead, which no frontend told, does not count and goes: it would stay for ever', async () => {
  const name = ratesAt(alice);
  await redis.client.hset(name, 'ahead', `${Date.now() + 3_600_000} {"CreateKey":9}`, 'odd', '9e15 no count');
  expect(await asked().exchange(alice, {})).not.toContainEqual({ CreateKey: 9 });
  expect(await redis.client.hmget(name, 'ahead', 'odd')).toEqual([null, null]);
});

// Redis's peak is never reset: each plants more than the one before took.
test.each([
  ['lists', (i: number) => Array.from({ length: 20 }, (_, j) => [`f${i}-${j}`, '1 {}']).flat()],
  ['names', (i: number) => ['x'.repeat(100_000) + i, '1 {}']],
  ['values', (i: number) => [`f${i}`, 'x'.repeat(250_000)]],
])('%s that are longer than what frontends tell go, and are not read', async (_, fields) => {
  const account = { ...alice, accountId: '888888888888' };
  const name = ratesAt(account);
  for (let i = 0; i < 300; i++) await redis.client.hset(name, ...fields(i));
  const peak = async () => Number(/used_memory_peak:(\d+)/.exec(await redis.client.info('memory'))![1]);
  const before = await peak();
  expect(await asked().exchange(account, { CreateKey: 1 })).toEqual([]);
  expect((await peak()) - before).toBeLessThan(10_000_000);
  expect(await redis.client.hlen(name)).toBe(1);
});

test('two frontends share a rate through Redis', async () => {
  // Each ends its windows itself, too, a second after its start.
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
  onTestFinished(() => void vi.useRealTimers());
  const account = { ...alice, accountId: '999999999999' };
  const problems: unknown[] = [];
  const open = () =>
    new RequestRates({
      rates: { ...awsRates, CreateGrant: 40 },
      elsewhere: asked(),
      onRefused: () => {},
      onProblem: (problem) => void problems.push(problem),
    });
  using one = open();
  using two = open();
  const passedOf = (frontend: RequestRates): number => {
    let passed = 0;
    for (let i = 0; i < 100; i++) {
      try {
        frontend.charge(account, 'CreateGrant');
        passed += 1;
      } catch (error) {
        expect(error).toMatchObject({ code: 'ThrottlingException' });
      }
    }
    return passed;
  };
  expect([passedOf(one), passedOf(two)]).toEqual([40, 40]);
  // The first hears of the second when that has told.
  for (const frontend of [one, two]) await frontend.endWindow();
  for (const frontend of [one, two]) passedOf(frontend);
  for (const frontend of [one, two]) await frontend.endWindow();
  expect([passedOf(one), passedOf(two)]).toEqual([20, 20]);
  expect(problems).toEqual([]);
});
