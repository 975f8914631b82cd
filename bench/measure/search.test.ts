import { expect, test } from 'vitest';
import { sampleRound } from '../report/sample-results.ts';
import { searchHighestRate } from './search.ts';

test('the highest rate is found to some percent', async () => {
  const found = await searchHighestRate(1000, 10, async (rate) => sampleRound(rate, rate <= 640 ? 5 : 50));
  expect(found).toBeGreaterThan(600);
  expect(found).toBeLessThanOrEqual(640);
});

test('a rate that is not answered in full does not hold, however quick its answers are', async () => {
  const found = await searchHighestRate(1000, 10, async (rate) => sampleRound(Math.min(rate, 300), 1));
  expect(found).toBeLessThanOrEqual(306);
});

test('nothing holds: 0', async () => {
  expect(await searchHighestRate(100, 10, async (rate) => sampleRound(rate, 20))).toBe(0);
  expect(await searchHighestRate(100, 10, async (rate) => sampleRound(rate, 1, { failures: { CLOSED: 1 } }))).toBe(0);
});
