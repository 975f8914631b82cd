import { expect, test } from 'vitest';
import { samplePoint, sampleRound } from '../report/sample-results.ts';
import { stallsOf } from './stalls.ts';

test('the longest stall comes first, with whose it was, and who has no probe has none', () => {
  const probe = (delayLongest: number) => ({
    loop: 0.5,
    delayP99: 1,
    delayLongest,
    gc: { count: 0, ms: 0, longest: 0 },
  });
  const processes = {
    redis: { cpu: 1, memory: 1 },
    frontend: { cpu: 1, memory: 1, probe: probe(3) },
    'hsm-worker-1': { cpu: 1, memory: 1, probe: probe(25) },
  };
  const point = samplePoint([sampleRound(1, 1, { processes })]);
  const { scenario, target } = point;
  expect(stallsOf([point])).toEqual([
    { scenario, target, process: 'hsm-worker-1', ms: 25 },
    { scenario, target, process: 'frontend', ms: 3 },
  ]);
});
