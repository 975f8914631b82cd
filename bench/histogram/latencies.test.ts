import { expect, test } from 'vitest';
import { Latencies } from './latencies.ts';

function recorded(from: number, to: number): Latencies {
  const latencies = Latencies.empty();
  for (let ms = from; ms <= to; ms++) latencies.record(ms);
  return latencies;
}

test('quantiles are those of what was recorded, to three digits', () => {
  const latencies = recorded(1, 1000);
  expect(latencies.count).toBe(1000);
  expect(latencies.quantile(0.5)).toBeCloseTo(500, -1);
  expect(latencies.quantile(0.99)).toBeCloseTo(990, -1);
  expect(latencies.longest).toBeCloseTo(1000, -1);
});

test('records of several processes merge as if one process had made them', () => {
  const apart = [recorded(1, 900), recorded(901, 1000)].map((part) => Latencies.decode(part.encode()));
  const [merged, whole] = [Latencies.merged(apart), recorded(1, 1000)];
  expect(merged.count).toBe(whole.count);
  for (const part of [0.01, 0.5, 0.9, 0.99, 0.999, 1]) expect(merged.quantile(part)).toBe(whole.quantile(part));
});

test('nothing recorded has no latency, rather than one of 0', () => {
  expect(Latencies.empty().quantile(0.99)).toBeNaN();
  expect(Latencies.decode(Latencies.empty().encode()).longest).toBeNaN();
});

test('a latency beyond the range counts as the longest', () => {
  const latencies = Latencies.empty();
  latencies.record(3_600_000);
  expect(latencies.longest).toBeCloseTo(600_000, -4);
});
