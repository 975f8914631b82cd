import { expect, test } from 'vitest';
import { sampleRound } from '../report/sample-results.ts';
import { memoryGrowth } from './memory-growth.ts';

const MIB = 2 ** 20;
const roundWith = (...memoryReadings: number[]) =>
  sampleRound(1, 1, { processes: { frontend: { cpu: 1, memory: 1, memoryReadings } } });

test('growth is the slope of all readings, whatever the heap does between two collections', () => {
  const growing = Array.from({ length: 720 }, (_, index) => 100 * MIB + (index / 720) * MIB);
  expect(memoryGrowth(roundWith(...growing))['frontend']).toBeCloseTo(MIB);
  const sawtooth = Array.from({ length: 720 }, (_, index) => 100 * MIB + (index % 10) * MIB);
  expect(Math.abs(memoryGrowth(roundWith(...sawtooth))['frontend']!)).toBeLessThan(0.2 * MIB);
});

test('a few minutes say nothing of growth', () => {
  expect(memoryGrowth(roundWith(1, 2, 3))).toEqual({});
});
