import { expect, test } from 'vitest';
import { capacityOf, predictedHere, resealTime, usualAssumptions } from './capacity.ts';
import type { Inputs } from './inputs.ts';

const inputs: Inputs = {
  encrypt: { frontend: 100, workers: 50, redis: 0, nats: 0, rest: 0, generator: 20 },
  encryptAlone: { frontend: 1000, workers: 500, redis: 0, nats: 0, rest: 0, generator: 20 },
  createKey: { frontend: 200, workers: 100, redis: 100, nats: 10, rest: 0, generator: 20 },
  streamOpening: 2000,
  notice: 20,
};
const still = { ...usualAssumptions, changes: 0 };

test('cores are dealt so that frontends and workers are busy alike, and the rate grows with them', () => {
  const [ten, hundred] = [capacityOf(inputs, 9, still), capacityOf(inputs, 90, still)];
  expect([ten.frontends, ten.workers]).toEqual([6, 3]);
  expect(ten.encrypts).toBeCloseTo((6 * 0.7 * 1e6) / 100, -2);
  expect(hundred.encrypts / ten.encrypts).toBeCloseTo(10, 1);
  expect(ten.encrypts / ten.encryptsAlone).toBeCloseTo(10, 1);
});

test('notices go to every frontend, so that their share grows with the fleet and in the end is all', () => {
  const shares = [10, 1000, 100_000].map((cores) => capacityOf(inputs, cores).noticeShare);
  expect(shares[1]! / shares[0]!).toBeGreaterThan(50);
  expect(shares[2]!).toBeLessThan(0.7);
  const [some, more] = [capacityOf(inputs, 100_000).encrypts, capacityOf(inputs, 200_000).encrypts];
  expect(more / some).toBeLessThan(1.5);
});

test('one Redis is the wall of CreateKey, wherever the fleet is large', () => {
  expect(capacityOf(inputs, 2).createKeyWall).toBe('frontends and workers');
  const large = capacityOf(inputs, 1000);
  expect(large.createKeyWall).toBe('one Redis');
  expect(large.createKeys).toBeCloseTo(7000);
});

test('streams between all frontends and all workers cost the square of the fleet', () => {
  const [some, ten] = [capacityOf(inputs, 100), capacityOf(inputs, 1000)];
  expect(ten.streamShare / some.streamShare).toBeCloseTo(10, 0);
});

test('each frontend of one machine has one thread, and shares the cores with everything else', () => {
  const predicted = (freeCores: number, frontends: number) => predictedHere(inputs.encrypt, { freeCores, frontends });
  expect([predicted(64, 1), predicted(64, 2)]).toEqual([10_000, 20_000]);
  expect([predicted(1, 1), predicted(1, 2)].map(Math.round)).toEqual([5882, 5882]);
});

test('resealing takes as long as there are keys for each core, or for the one Redis', () => {
  expect(resealTime(inputs, 12_000_000, 1, 1)).toEqual({ hours: 1, wall: 'frontends and workers' });
  expect(resealTime(inputs, 12_000_000, 10, 0.1)).toEqual({ hours: 1, wall: 'frontends and workers' });
  const large = resealTime(inputs, 25_200_000, 1000, 1);
  expect(large).toEqual({ hours: 1, wall: 'one Redis' });
});
