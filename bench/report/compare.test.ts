import { expect, test } from 'vitest';
import type { Round } from '../measure/results.ts';
import { compare, compareLines, moved } from './compare.ts';
import { samplePoint, sampleResults, sampleRound } from './sample-results.ts';

const spread = (min: number, median: number, max: number) => ({ min, median, max });
const run = (rounds: readonly Round[]) => sampleResults([samplePoint(rounds)]);
const rates = (...perSecond: number[]) => perSecond.map((requests) => sampleRound(requests, 2));

function verdicts(before: readonly Round[], after: readonly Round[]): Record<string, string> {
  const { changes } = compare(run(before), run(after));
  return Object.fromEntries(changes.map(({ metric, verdict }) => [metric, verdict]));
}

test('rounds that overlap have not moved, however far their medians are apart', () => {
  expect(moved(spread(80, 100, 130), spread(120, 150, 160), 0.03)).toBe(false);
  expect(moved(spread(95, 100, 105), spread(115, 120, 125), 0.03)).toBe(true);
});

test('rounds that agree to the last digit still have the noise of any run', () => {
  expect(moved(spread(100, 100, 100), spread(102, 102, 102), 0.03)).toBe(false);
  expect(moved(spread(100, 100, 100), spread(104, 104, 104), 0.03)).toBe(true);
});

test('three rounds that are all faster are better, and what stayed is within the noise', () => {
  const found = verdicts(rates(1000, 1010, 990), rates(1100, 1110, 1090));
  expect(found).toEqual({
    'requests/s': 'better',
    'p50 ms': 'within the noise',
    'p99 ms': 'within the noise',
    'CPU us': 'within the noise',
  });
});

test('a latency that rises is worse', () => {
  const at = (ms: number) => [1000, 1000, 1000].map((requests) => sampleRound(requests, ms));
  expect(verdicts(at(2), at(3))).toMatchObject({ 'p50 ms': 'worse', 'p99 ms': 'worse' });
  expect(verdicts(at(3), at(2))).toMatchObject({ 'p50 ms': 'better', 'p99 ms': 'better' });
});

test('a single round, or a busy machine, reports only large changes', () => {
  const busy = (...perSecond: number[]) => perSecond.map((requests) => sampleRound(requests, 2, { othersCores: 1 }));
  expect(verdicts(rates(1000), rates(1080))['requests/s']).toBe('within the noise');
  expect(verdicts(rates(1000), rates(1100))['requests/s']).toBe('better');
  expect(verdicts(busy(1000, 1000, 1000), busy(1080, 1080, 1080))['requests/s']).toBe('within the noise');
});

test('only CPU is compared where others took more than half of the machine', () => {
  const taken = [1000, 1000, 1000].map((requests) => sampleRound(requests, 2, { othersCores: 1.6 }));
  const { changes, doubts } = compare(run(rates(4000, 4000, 4000)), run(taken));
  expect(changes.map(({ metric }) => metric)).toEqual(['CPU us']);
  expect(doubts.join()).toContain('others kept more than half of the machine busy');
});

test("a rate that was the generator's is not compared", () => {
  const bound = [sampleRound(2000, 2, { generators: [{ cpu: 0.99, loop: 0.99 }] })];
  const { changes, doubts } = compare(run(rates(1000)), run(bound));
  expect(changes.map(({ metric }) => metric)).not.toContain('requests/s');
  expect(doubts.join()).toContain('the generator was the bottleneck');
});

test('scenarios in only one of two runs are named, and so are other machines', () => {
  const other = sampleResults([samplePoint(rates(1000), { scenario: 'decrypt' })]);
  const lines = compareLines(compare(run(rates(1000)), { ...other, machine: { ...other.machine, cores: 4 } }));
  expect(lines.filter((line) => line.startsWith('only in one of the two'))).toHaveLength(2);
  expect(lines.join('\n')).toContain('different machines');
});

test('open loops are compared by what was asked for, though half of a peak is another rate each time', () => {
  const point = (asked: string, perSecond: number) =>
    samplePoint(rates(perSecond), { loop: { kind: 'open', connections: 4, perSecond, asked } });
  const [before, after] = [
    sampleResults([point('50%', 500), point('100', 100)]),
    sampleResults([point('50%', 600), point('100', 100)]),
  ];
  const rateChanges = compare(before, after).changes.filter(({ metric }) => metric === 'requests/s');
  expect(rateChanges.map(({ by }) => by)).toEqual([0.2, 0]);
});
