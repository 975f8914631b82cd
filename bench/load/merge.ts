import { Latencies } from '../histogram/latencies.ts';
import type { LoadResult } from './job.ts';

/** Merges measurements that several processes made at the same time. */
export function mergeResults(results: readonly LoadResult[]): LoadResult {
  const [first] = results;
  if (first === undefined) throw new Error('nothing was measured');
  const failures: Record<string, number> = {};
  for (const result of results) {
    for (const [failure, count] of Object.entries(result.failures))
      failures[failure] = (failures[failure] ?? 0) + count;
  }
  return {
    requests: results.reduce((sum, { requests }) => sum + requests, 0),
    seconds: first.seconds,
    latencies: merged(results.map(({ latencies }) => latencies)),
    byOperation: Object.fromEntries(
      Object.keys(first.byOperation).map((name) => [name, merged(results.map((one) => one.byOperation[name]!))]),
    ),
    slices: first.slices.map((_, index) => ({
      latencies: merged(
        results.map(({ slices }) => slices[index]!.latencies),
        2,
      ),
      failed: results.reduce((sum, { slices }) => sum + slices[index]!.failed, 0),
    })),
    failures,
    lateness: merged(
      results.map(({ lateness }) => lateness),
      2,
    ),
    waits: merged(
      results.flatMap(({ waits = [] }) => waits),
      2,
    ),
    generators: results.flatMap(({ generators }) => generators),
  };
}

function merged(encoded: readonly string[], digits: 2 | 3 = 3): string {
  return Latencies.merged(
    encoded.map((text) => Latencies.decode(text)),
    digits,
  ).encode();
}
