import { expect, test } from 'vitest';
import { networkOf, PeerLimit, RequestLimit } from './request-limit.ts';

const rate = { perSecond: 10, burst: 20 };

function newClock() {
  let time = 1000;
  return { now: () => time, advance: (ms: number) => (time += ms) };
}

/** How many of 100 calls are allowed. */
function allowed(take: () => boolean): number {
  return Array.from({ length: 100 }, take).filter(Boolean).length;
}

test('a limit lets a burst through, and then so many a second', () => {
  const clock = newClock();
  const limit = new RequestLimit(clock, rate);
  expect(allowed(() => limit.take())).toBe(20);
  clock.advance(1000);
  expect(allowed(() => limit.take())).toBe(10);
  clock.advance(3_600_000);
  expect(allowed(() => limit.take())).toBe(20);
});

test('debts are waited for, one after the other, and are paid back', () => {
  const clock = newClock();
  const limit = new RequestLimit(clock, rate);
  const waits = Array.from({ length: 23 }, () => limit.owe());
  expect(waits).toEqual([...Array<number>(20).fill(0), 100, 200, 300]);
  expect(limit.owes).toBe(true);
  clock.advance(300);
  expect([limit.owes, limit.take()]).toEqual([false, false]);
});

test('no debt takes longer than a minute', () => {
  const clock = newClock();
  const limit = new RequestLimit(clock, rate);
  expect([limit.owe(1e9), limit.owe()]).toEqual([60_000, 60_000]);
  clock.advance(60_000);
  expect(limit.owes).toBe(false);
});

test('a clock that is set back neither gives nor takes', () => {
  const clock = newClock();
  const limit = new RequestLimit(clock, rate);
  limit.take();
  clock.advance(-500);
  expect(allowed(() => limit.take())).toBe(19);
  clock.advance(1000);
  expect(allowed(() => limit.take())).toBe(10);
});

test('each peer has a limit of its own', () => {
  const limit = new PeerLimit(newClock(), rate);
  expect(allowed(() => limit.take('10.0.0.1'))).toBe(20);
  expect(allowed(() => limit.take('10.0.0.2'))).toBe(20);
});

test('an IPv6 network of 64 bits is one peer, and an IPv4 address is one however it is written', () => {
  expect(networkOf('2001:db8::1')).toBe('2001:db8:0:0');
  expect(networkOf('2001:db8:0:0:5:6:7:8')).toBe('2001:db8:0:0');
  expect(networkOf('2001:db8:0:1::1')).toBe('2001:db8:0:1');
  expect(networkOf('::ffff:10.0.0.1')).toBe('10.0.0.1');
});

test('many peers are not remembered for ever', () => {
  const limit = new PeerLimit(newClock(), rate);
  expect(allowed(() => limit.take('10.0.0.1'))).toBe(20);
  for (let i = 0; i < 5000; i++) limit.take(`10.1.${i >> 8}.${i & 255}`);
  expect(allowed(() => limit.take('10.0.0.1'))).toBe(20);
});
