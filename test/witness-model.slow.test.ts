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

const all: Guards = { other: true, veterans: true, keys: true, compares: true, forAll: true };
const witnessed: World = { unwitnessed: false };
const unwitnessed: World = { unwitnessed: true };

function run(guards: Guards, world: World, holds: (state: State) => boolean): Exploration {
  return explore({ initial: initialState, stepsOf: (state) => stepsOf(state, guards, world), keyOf, holds });
}

describe('a hostile member that makes every token', () => {
  test('has none stored with other keys, whoever is away', () => {
    const { states, counterexample } = run(all, witnessed, isKept);
    expect(counterexample).toBeUndefined();
    expect(states).toBeGreaterThan(40);
  });

  test('has none stored that shuts a member out', () => {
    expect(run(all, witnessed, opensForAll).counterexample).toBeUndefined();
  });

  test('does both when it is its own witness', () => {
    const own = { ...all, other: false };
    expect(run(own, witnessed, isKept).counterexample).toEqual(['rotate, with other keys']);
    expect(run(own, witnessed, opensForAll).counterexample).toEqual(['rotate, not for 1']);
  });

  test('shuts one out when a member confirms what it can open itself', () => {
    expect(run({ ...all, forAll: false }, witnessed, opensForAll).counterexample).toEqual(['rotate, not for 1']);
  });

  test('replaces the keys when a worker that the token admits is a witness', () => {
    expect(run({ ...all, veterans: false }, witnessed, isKept).counterexample).toEqual(['admit 3, with other keys']);
  });

  test('does it when a member signs that has just been started again', () => {
    expect(run({ ...all, keys: false }, witnessed, isKept).counterexample).toHaveLength(2);
  });

  test('does it once people sign that its word is enough, and no member takes those keys for its own', () => {
    expect(run(all, unwitnessed, isKept).counterexample).toEqual(['rotate, with other keys']);
    expect(run(all, unwitnessed, takesNoOthers).counterexample).toBeUndefined();
  });

  test('has them taken then by a member that was started again, if that compares them with nothing', () => {
    expect(run({ ...all, compares: false }, unwitnessed, takesNoOthers).counterexample).toContain(
      'rotate, with other keys',
    );
  });
});
