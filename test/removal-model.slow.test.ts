import { describe, expect, test } from 'vitest';
import { type Exploration, explore, exploreHeldUp } from './model/explore.ts';
import {
  type Guards,
  initialState,
  isKept,
  isOpenable,
  isRetiredInTime,
  isToldTheTruth,
  keyOf,
  protocolSteps,
  type State,
  stepsOf,
  type World,
} from './model/removal-model.ts';

const all: Guards = {
  chain: true,
  proves: true,
  every: true,
  patience: true,
  wait: true,
  signed: true,
  counts: true,
};

function modelOf(guards: Guards, world: World) {
  return { initial: initialState(world), stepsOf: (state: State) => stepsOf(state, guards, world), keyOf };
}

function run(guards: Guards, world: World, holds: (state: State) => boolean): readonly string[] | undefined {
  return explore({ ...modelOf(guards, world), holds }).counterexample;
}

/** How it can be kept for ever from what `reached` says. */
function heldUp(guards: Guards, world: World, reached: (state: State) => boolean): Exploration {
  const helpful = (state: State) => protocolSteps(state, guards, world);
  return exploreHeldUp({ ...modelOf(guards, world), helpful, reached });
}

const isRemoved = ({ removed }: State): boolean => removed;
const isOver = ({ retired, dropped }: State): boolean => retired || dropped;

describe('somebody who writes the store, beside a worker that lies', () => {
  const world: World = { members: 3, liar: 0, writer: true };

  test('has no removal believed that was not made, and keeps none from being made', () => {
    expect(run(all, world, isToldTheTruth)).toBeUndefined();
    const { states, counterexample } = heldUp(all, world, isRemoved);
    expect(counterexample).toBeUndefined();
    expect(states).toBeGreaterThan(1_000);
  });

  test('has one believed when the command line looks at no token', () => {
    expect(run({ ...all, chain: false }, world, isToldTheTruth)).toEqual(['the command line says Done']);
  });

  test('keeps one from being made when the domain-manager believes its store', () => {
    expect(heldUp({ ...all, proves: false }, world, isRemoved).counterexample).toEqual(['he marks it']);
  });

  test('destroys nothing, and has no key retired while something may come under it', () => {
    for (const liar of [0, 2]) {
      expect(run(all, { ...world, liar }, isKept)).toBeUndefined();
      expect(run(all, { ...world, liar }, isRetiredInTime)).toBeUndefined();
    }
  });

  test('destroys a key when whoever drops a domain key believes the reports', () => {
    expect(run({ ...all, counts: false }, world, isKept)).toEqual(expect.arrayContaining(['he reports', 'drop']));
  });

  test('has one retired too early when the time that was served is not signed', () => {
    expect(run({ ...all, signed: false }, world, isRetiredInTime)).toContain('he makes up the time served');
  });

  test('has one retired that is needed, until it is reinstated: this is the limit', () => {
    expect(run(all, world, isOpenable)).toEqual(expect.arrayContaining(['he reports', 'retire']));
  });
});

describe('a worker that lies about itself', () => {
  const removed: World = { members: 2, liar: 0 };
  const stays: World = { members: 3, liar: 2 };

  test('has no key retired that is needed, and keeps none from being retired', () => {
    for (const world of [removed, stays]) {
      expect(run(all, world, isOpenable)).toBeUndefined();
      expect(heldUp(all, world, isOver).counterexample).toBeUndefined();
    }
  });

  test('has one retired that is needed when the pass begins as soon as members say that they changed over', () => {
    const openableAtFirst = (state: State) => isOpenable(state) || state.time > 0;
    expect(run({ ...all, wait: false }, stays, openableAtFirst)).toEqual(
      expect.arrayContaining([expect.stringMatching(/^2 says/), 'pass', 'retire', 'write']),
    );
  });

  test('holds up retirement when its word is waited for', () => {
    expect(heldUp({ ...all, patience: false }, stays, isOver).counterexample).toBeDefined();
  });

  test('holds up its own removal, and then retirement, when only the first is asked that says it is the preparer', () => {
    const first = { ...all, every: false };
    expect(heldUp(first, removed, isRemoved).counterexample).toEqual(['0 says 1, 1']);
    expect(heldUp(first, removed, (state) => !isRemoved(state) || isOver(state)).counterexample).toBeDefined();
  });
});

test('an attacker who alters what every worker says holds up removal and retirement: this is the limit', () => {
  const world: World = { members: 2, altered: true };
  expect(run(all, world, isOpenable)).toBeUndefined();
  expect(heldUp(all, world, isRemoved).counterexample).toBeDefined();
  expect(heldUp(all, world, (state) => !isRemoved(state) || isOver(state)).counterexample).toBeDefined();
});
