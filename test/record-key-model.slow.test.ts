import { describe, expect, test } from 'vitest';
import { type Exploration, explore } from './model/explore.ts';
import {
  findsTheirs,
  type Guards,
  initialState,
  keyOf,
  type State,
  stepsOf,
  usesNoneOfHis,
} from './model/record-key-model.ts';

const timeout = 120_000;
const all: Guards = { age: true, known: true, floor: true, same: true, since: true, ends: true };

function run(guards: Guards, holds: (state: State) => boolean = usesNoneOfHis): Exploration {
  return explore({ initial: initialState, stepsOf: (state) => stepsOf(state, guards), keyOf, holds });
}

describe('somebody who left and writes Redis', { timeout }, () => {
  test('leads no frontend with a disk to a record key of his, once it has followed one that he cannot have', () => {
    const { states, counterexample } = run(all);
    expect(counterexample).toBeUndefined();
    expect(states).toBeGreaterThan(10_000);
  });

  test('keeps no frontend from the record key that operators make', () => {
    const neverNext = ({ left, memory }: State) => !(left > 0 && memory?.newest === 3 && memory.key >= left);
    expect(run(all, neverNext).counterexample).toEqual(['he leaves', 'make next', 'make next', 'look']);
  });

  test('and takes it away again, keeps none from it either', () => {
    expect(run(all, (state) => findsTheirs(state, all)).counterexample).toBeUndefined();
    const unguarded = { ...all, since: false };
    expect(run(unguarded, (state) => findsTheirs(state, unguarded)).counterexample?.join()).toMatch(
      /he leaves,.*he plants 2.*look.*make next/,
    );
  });

  test('leads it there when a next record key may be older than the one before', () => {
    const { counterexample } = run({ ...all, age: false });
    expect(counterexample).toContain('he leaves');
    expect(counterexample).not.toContain('restart');
  });

  test('leads it there when it forgets when its record key was made', () => {
    expect(run({ ...all, known: false, since: false }).counterexample).toBeDefined();
  });

  test('leads it there, once domain keys are dropped, when resealing carries his record keys along', () => {
    expect(run({ ...all, ends: false }).counterexample).toContain('drop domain keys');
  });

  test('leads it there after a restart when it writes nothing down', () => {
    const { counterexample } = run({ ...all, floor: false });
    expect(counterexample).toContain('restart');
  });

  test('leads it there after a restart when another may stand under the same number', () => {
    const { counterexample } = run({ ...all, same: false });
    expect(counterexample).toContain('restart');
  });
});
