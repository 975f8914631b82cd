import { expect, test } from 'vitest';
import { Latencies } from '../histogram/latencies.ts';
import { sampleRound } from '../report/sample-results.ts';
import { spreadOf, summarize } from './summary.ts';

test('the median of the rounds counts, and of an even number the mean of the middle two', () => {
  expect(spreadOf([3, 1, 2])).toEqual({ min: 1, median: 2, max: 3 });
  expect(spreadOf([4, 1, 2, 3])).toEqual({ min: 1, median: 2.5, max: 4 });
});

test('CPU per request is that of all processes, and nothing where none is known', () => {
  const known = summarize({ rounds: [sampleRound(100, 1)] });
  expect([known.cpu.median, known.cpuByProcess]).toEqual([150, { frontend: 100, worker: 50 }]);
  expect(summarize({ rounds: [sampleRound(100, 1, { processes: {} })] }).cpu.median).toBeNaN();
});

test('the operations of a mix have their latencies of all rounds together', () => {
  const of = (ms: number) => {
    const latencies = Latencies.empty();
    latencies.record(ms);
    return latencies.encode();
  };
  const rounds = [1, 9].map((ms) => sampleRound(2, 5, { byOperation: { Encrypt: of(ms), Decrypt: of(2 * ms) } }));
  const { operations } = summarize({ rounds });
  expect(operations.map(({ name, latencies }) => [name, latencies.count, Math.round(latencies.longest)])).toEqual([
    ['Encrypt', 2, 9],
    ['Decrypt', 2, 18],
  ]);
});

test('a generator is the bottleneck when one of its processes is busy nine tenths of the time', () => {
  const bound = (loop: number) => summarize({ rounds: [sampleRound(1, 1, { generators: [{ cpu: 0.5, loop }] })] });
  expect([bound(0.89).generatorBound, bound(0.9).generatorBound]).toEqual([false, true]);
});
