import { expect, test } from 'vitest';
import { functionsOf } from './profile.ts';

const frame = (functionName: string, url = '') => ({ functionName, url, lineNumber: 9 });

test("a function's own time is divided by the requests of the time that was profiled, and waiting is left out", () => {
  const profile = {
    nodes: [
      { id: 1, callFrame: frame('(idle)') },
      { id: 2, callFrame: frame('verify', new URL('../wire/failure.ts', import.meta.url).href) },
      { id: 3, callFrame: frame('') },
    ],
    samples: [1, 2, 2, 3],
    timeDeltas: [500_000, 200_000, 200_000, 100_000],
  };
  // One second at 1,000 a second.
  expect(functionsOf(profile, 2000, 2)).toEqual([
    { name: 'verify', where: 'bench/wire/failure.ts:10', cpu: 400 },
    { name: '(anonymous)', where: '', cpu: 100 },
  ]);
});
