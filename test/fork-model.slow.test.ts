import { describe, expect, test } from 'vitest';
import { type Exploration, explore } from './model/explore.ts';
import {
  type Guards,
  initialState,
  isAsSigned,
  isInThePast,
  isOneChain,
  keyOf,
  type State,
  stepsOf,
  type World,
} from './model/fork-model.ts';

const timeout = 120_000;
const all: Guards = { preparer: true, keeps: true, bound: true, clock: true, waits: true };
const quiet: World = { members: 3, generations: 3, hostile: false, wrongClock: false, again: false, loss: false };

function run(guards: Guards, world: World, holds: (state: State) => boolean): Exploration {
  const next = (state: State) => stepsOf(state, guards, world);
  return explore({ initial: initialState(world), stepsOf: next, keyOf, holds });
}

describe('a stranger who has everything that was ever signed or made', () => {
  test('splits no domain of honest members', { timeout }, () => {
    const { states, counterexample } = run(all, quiet, isOneChain);
    expect(counterexample).toBeUndefined();
    expect(states).toBeGreaterThan(200);
  });

  test('splits it when any member makes the token of a proposal', { timeout }, () => {
    const { counterexample } = run({ ...all, preparer: false }, quiet, isOneChain);
    expect(counterexample).toHaveLength(5);
    expect(counterexample!.filter((step) => step.startsWith('prepare'))).toHaveLength(2);
  });

  test('splits it when a member makes a second token of a generation, or forgets the first', { timeout }, () => {
    const { counterexample } = run({ ...all, keeps: false }, quiet, isOneChain);
    expect(counterexample!.filter((step) => step.startsWith('prepare'))).toHaveLength(2);
  });

  test('has nothing made of a proposal on another branch than the one it was signed for', { timeout }, () => {
    const lossy = { ...quiet, members: 2, loss: true };
    expect(run(all, lossy, isAsSigned).counterexample).toBeUndefined();
    expect(run({ ...all, bound: false }, lossy, isAsSigned).counterexample).toContain('all is lost');
  });
});

describe('one hostile member', () => {
  const hostile = { ...quiet, hostile: true };
  const named = ({ proposals }: State) => proposals.some(({ preparer }) => preparer === quiet.members - 1);

  test('splits no domain as long as no proposal names it', { timeout }, () => {
    expect(run(all, hostile, (state) => named(state) || isOneChain(state)).counterexample).toBeUndefined();
  });

  test('splits it when one does: this is the limit of what one member is trusted with', { timeout }, () => {
    expect(run(all, hostile, isOneChain).counterexample).toContain('sign for 1 by 2');
  });
});

test(
  'operators who sign again, naming another, have two tokens made when the first is there after all',
  { timeout },
  () => {
    const { counterexample } = run(all, { ...quiet, again: true }, isOneChain);
    expect(counterexample!.filter((step) => step.startsWith('sign'))).toHaveLength(2);
  },
);

describe('a member whose clock runs ahead', () => {
  const ahead = { ...quiet, wrongClock: true };

  test('brings no token from the future to anyone else', { timeout }, () => {
    expect(run(all, ahead, isInThePast).counterexample).toBeUndefined();
  });

  test('does so when nobody looks at the clock', { timeout }, () => {
    expect(run({ ...all, clock: false }, ahead, isInThePast).counterexample).toContain('clock runs ahead');
  });

  test('splits no domain, not even when the time of the token comes that it dated ahead', { timeout }, () => {
    expect(run(all, ahead, isOneChain).counterexample).toBeUndefined();
  });

  test('splits it when it makes another token beside that one', { timeout }, () => {
    const { counterexample } = run({ ...all, waits: false }, ahead, isOneChain);
    expect(counterexample).toEqual(expect.arrayContaining(['clock is set right', 'its time comes']));
  });
});
