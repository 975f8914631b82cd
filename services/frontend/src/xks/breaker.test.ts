import { beforeEach, expect, test } from 'vitest';
import { Breaker, Breakers } from './breaker.ts';

class Away extends Error {}

let now: number;
let breaker: Breaker;
beforeEach(() => {
  now = 1_000;
  breaker = new Breaker({ now: () => now });
});

const isAway = (error: unknown) => error instanceof Away;
const fail = (error: Error = new Away()) => breaker.run(() => Promise.reject(error), isAway).catch(() => {});
const succeed = () => breaker.run(() => Promise.resolve('answer'), isAway);

async function failTimes(times: number): Promise<void> {
  for (let i = 0; i < times; i++) await fail();
}

test('five failures in a row make it away, and a success among them does not count them on', async () => {
  await failTimes(4);
  expect(await succeed()).toBe('answer');
  await failTimes(4);
  expect(breaker.refusal).toBeUndefined();
  await fail();
  expect(breaker.refusal).toBe('away');
});

test('an error that somebody answered with is not a failure', async () => {
  await failTimes(4);
  await fail(new Error('refused'));
  await failTimes(4);
  expect(breaker.refusal).toBeUndefined();
});

test('pauses double from one second to eight, and start again after a success', async () => {
  await failTimes(5);
  for (const pause of [1_000, 2_000, 4_000, 8_000, 8_000]) {
    now += pause - 1;
    expect(breaker.refusal).toBe('away');
    now += 1;
    expect(breaker.refusal).toBeUndefined();
    await fail();
  }
  now += 8_000;
  await succeed();
  await failTimes(5);
  now += 1_000;
  expect(breaker.refusal).toBeUndefined();
});

test('after a pause one call decides, and no other is made until it has', async () => {
  await failTimes(5);
  now += 1_000;
  const { promise, resolve } = Promise.withResolvers<string>();
  const trying = breaker.run(() => promise, isAway);
  expect(breaker.refusal).toBe('away');
  resolve('back');
  expect(await trying).toBe('back');
  expect(breaker.refusal).toBeUndefined();
});

test('calls that began together and failed together are one reason for one pause', async () => {
  await Promise.all(Array.from({ length: 20 }, () => fail()));
  now += 999;
  expect(breaker.refusal).toBe('away');
  now += 1;
  expect(breaker.refusal).toBeUndefined();
});

test('256 calls are under way at once, and no more', async () => {
  const { promise, resolve } = Promise.withResolvers<void>();
  const calls = Array.from({ length: 255 }, () => breaker.run(() => promise, isAway));
  expect(breaker.refusal).toBeUndefined();
  calls.push(breaker.run(() => promise, isAway));
  expect(breaker.refusal).toBe('busy');
  resolve();
  await Promise.all(calls);
  expect(breaker.refusal).toBeUndefined();
});

test('of peers that are called once and never again, few breakers are kept, and of one in use its own', async () => {
  const breakers = new Breakers({ now: () => now });
  const failing = async (name: string) => {
    for (let i = 0; i < 5; i++)
      await breakers
        .of(name)
        .run(() => Promise.reject(new Away()), isAway)
        .catch(() => {});
  };
  await failing('once');
  await failing('in use');
  for (let i = 0; i < 25_000; i++) {
    breakers.of(`store ${i}`);
    if (i % 1_000 === 0) expect(breakers.of('in use').refusal).toBe('away');
  }
  expect(breakers.of('in use').refusal).toBe('away');
  expect(breakers.of('once').refusal).toBeUndefined();
});
