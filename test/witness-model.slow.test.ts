import { describe, expect, test } from 'vitest';
import { type Exploration, explore } from './model/explore.ts';
import {
  type Guards,
  initialState,
  isKept,
  keyOf,
  opensForAll,
  type State,
  stepsOf,
  takesNoOthers,
  type World,
} from './model/witness-model.ts';

const all: Guards = { veterans: true, keys: true, compares: true, forAll: true };
const oneAway: World = { allAway: false };
const allAway: World = { allAway: true };

function run(guards: Guards, world: World, holds: (state: State) => boolean): Exploration {
  return explore({ initial: initialState, stepsOf: (state) => stepsOf(state, guards, world), keyOf, holds });
}

describe('a hostile member that makes every token', () => {
  test('has none stored with other keys while one honest member has its own', () => {
    const { states, counterexample } = run(all, oneAway, isKept);
    expect(counterexample).toBeUndefined();
    expect(states).toBeGreaterThan(20);
  });

  test('has none stored that shuts a member out while one honest member has its own keys', () => {
    expect(run(all, oneAway, opensForAll).counterexample).toBeUndefined();
  });

  test('shuts one out when a member confirms what it can open itself', () => {
    expect(run({ ...all, forAll: false }, oneAway, opensForAll).counterexample).toEqual(['rotate, not for 1']);
  });

  test('does it when a worker that the token admits is asked like any other', () => {
    expect(run({ ...all, veterans: false }, oneAway, isKept).counterexample).toEqual(['admit 3, with other keys']);
  });

  test('does it when a member signs that has just been started again', () => {
    expect(run({ ...all, keys: false }, oneAway, isKept).counterexample).toHaveLength(2);
  });

  test('does it while every honest member is away, and none of them takes those keys for its own', () => {
    expect(run(all, allAway, isKept).counterexample).toBeDefined();
    expect(run(all, allAway, takesNoOthers).counterexample).toBeUndefined();
  });

  test('has them taken when a member that was started again compares them with nothing', () => {
    expect(run({ ...all, compares: false }, allAway, takesNoOthers).counterexample).toContain(
      'rotate, with other keys',
    );
  });
});
