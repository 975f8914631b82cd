import { expect, test } from 'vitest';
import { functionsOf } from './profile.ts';

const frame = (functionName: string, url = '') => ({ functionName, url, lineNumber: 9 });

test("the CPU of a request is shared out by each function's own time, without what waits and the profiler", () => {
  const profile = {
    nodes: [
      { id: 1, callFrame: frame('(idle)') },
      { id: 2, callFrame: frame('verify', new URL('../wire/failure.ts', import.meta.url).href) },
      { id: 3, callFrame: frame('') },
      { id: 4, callFrame: frame('post') },
    ],
    samples: [1, 2, 2, 3, 4],
    timeDeltas: [500_000, 200_000, 200_000, 100_000, 700_000],
  };
  expect(functionsOf(profile, 100)).toEqual([
    { name: 'verify', where: 'bench/wire/failure.ts:10', cpu: 80 },
    { name: '(anonymous)', where: '', cpu: 20 },
  ]);
});
