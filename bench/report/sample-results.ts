import { Latencies } from '../histogram/latencies.ts';
import type { Point, Results, Round } from '../measure/results.ts';

/** A round of a test: so many requests in a second, all of them so long. */
export function sampleRound(requests: number, ms: number, change: Partial<Round> = {}): Round {
  const latencies = Latencies.empty();
  for (let count = 0; count < requests; count++) latencies.record(ms);
  const slice = Latencies.empty(2);
  slice.record(ms);
  return {
    requests,
    seconds: 1,
    latencies: latencies.encode(),
    byOperation: {},
    slices: Array.from({ length: 4 }, () => ({ latencies: slice.encode(), failed: 0 })),
    failures: {},
    lateness: Latencies.empty(2).encode(),
    generators: [{ cpu: 0.1, loop: 0.2 }],
    processes: { frontend: { cpu: requests * 100, memory: 2 ** 26 }, worker: { cpu: requests * 50, memory: 2 ** 25 } },
    othersCores: 0,
    marks: [],
    ...change,
  };
}

export function samplePoint(rounds: readonly Round[], change: Partial<Point> = {}): Point {
  const loop = { kind: 'closed', connections: 16 } as const;
  return { scenario: 'encrypt', target: 'keyfleet', loop, payload: 32, context: 1, keys: 1, rounds, ...change };
}

export function sampleResults(points: readonly Point[], change: Partial<Results> = {}): Results {
  return {
    format: 'keyfleet-bench/1',
    machine: { date: '2026-01-01', commit: 'abc', cpu: 'a CPU', cores: 2, memoryGb: 8, kernel: '6', node: 'v26' },
    versions: { node: 'v26' },
    command: 'npm run bench',
    sliceMs: 250,
    generatorLimit: { perSecond: 20_000, cpu: 20, processes: 1 },
    points,
    searches: [],
    profiles: [],
    ...change,
  };
}
