import { expect, test } from 'vitest';
import { Latencies } from '../histogram/latencies.ts';
import { aroundEvent } from './around-event.ts';

const slices = [1, 2, 3, 40, 5].map((ms) => {
  const latencies = Latencies.empty(2);
  latencies.record(ms);
  return { latencies: latencies.encode(), failed: 0 };
});

test('a request that an event met does not count as before it, though it began earlier', () => {
  const { before, from } = aroundEvent({ slices, seconds: 1, marks: [{ at: 620, what: 'hsm-worker-1 killed' }] });
  expect([before.count, Math.round(before.longest)]).toEqual([2, 2]);
  expect([from.count, Math.round(from.longest)]).toEqual([3, 40]);
});

test('an event of the first moment has nothing before it', () => {
  expect(aroundEvent({ slices, seconds: 1, marks: [{ at: 10, what: 'it' }] }).before.count).toBe(0);
});
