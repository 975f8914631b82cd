import { newSeeded } from '@keyfleet/test-support/seeded';
import { expect, test } from 'vitest';
import { chooser, weightedChooser, zipfWeights } from './choice.ts';

function counted(choose: () => number, kinds: number, draws: number): number[] {
  const counts = Array.from({ length: kinds }, () => 0);
  for (let draw = 0; draw < draws; draw++) counts[choose()]!++;
  return counts;
}

test('choices in turn come equally often', () => {
  expect(
    counted(
      chooser({ kind: 'turn' }, 4, () => 0),
      4,
      400,
    ),
  ).toEqual([100, 100, 100, 100]);
});

test('uniform use reaches every key about equally often', () => {
  const counts = counted(chooser({ kind: 'uniform' }, 10, random()), 10, 100_000);
  for (const count of counts) expect(count).toBeGreaterThan(9_000);
});

test("Zipf's use falls with the rank as its exponent says", () => {
  const counts = counted(chooser({ kind: 'zipf', exponent: 1 }, 1000, random()), 1000, 200_000);
  expect(counts[0]! / counts[1]!).toBeCloseTo(2, 0);
  expect(counts[0]! / counts[9]!).toBeGreaterThan(8);
  expect(counts[0]! / counts[9]!).toBeLessThan(12);
  // The first ten of a thousand get the sum of 1/k to ten, divided by that to a thousand.
  const first = counts.slice(0, 10).reduce((sum, count) => sum + count, 0);
  expect(first / 200_000).toBeCloseTo(2.929 / 7.485, 1);
});

test('an exponent of 0 is uniform use', () => {
  expect([...zipfWeights(3, 0)]).toEqual([1, 1, 1]);
});

test('weights decide how often each comes, and the ends of the draw are within', () => {
  const counts = counted(weightedChooser([70, 25, 5], random()), 3, 100_000);
  expect(counts.map((count) => Math.round(count / 1000))).toEqual([70, 25, 5]);
  expect(weightedChooser([1, 1], () => 0)()).toBe(0);
  expect(weightedChooser([1, 1], () => 1 - Number.EPSILON)()).toBe(1);
});

function random(): () => number {
  const source = newSeeded(7);
  return () => source.next();
}
