import { describe, expect, test } from 'vitest';
import { type Exploration, explore } from './model/explore.ts';
import {
  followsAnchor,
  type Guards,
  heedsMembers,
  heedsTokens,
  initialState,
  keyOf,
  type Size,
  type State,
  stepsOf,
  usesMembersOnly,
} from './model/frontend-model.ts';

const timeout = 120_000;
const all: Guards = { floor: true, checkpoint: true, heeds: true, stops: true };
const size: Size = { members: 2, generations: 3, disks: false };

function run(guards: Guards, world: Size, holds: (state: State) => boolean): Exploration {
  return explore({ initial: initialState(world), stepsOf: (state) => stepsOf(state, guards, world), keyOf, holds });
}

describe('a frontend that is shown only what an attacker likes', () => {
  test('uses nobody whose removal it ever relied on, however often it starts without memory', { timeout }, () => {
    const { states, counterexample } = run(all, size, usesMembersOnly);
    expect(counterexample).toBeUndefined();
    expect(states).toBeGreaterThan(1_000);
  });

  test('does when it starts without memory and has no floor', { timeout }, () => {
    const { counterexample } = run({ ...all, floor: false }, size, usesMembersOnly);
    expect(counterexample).toContain('restart');
    expect(counterexample!.at(-1)).toMatch(/^use/);
  });

  test('uses nobody who was removed before its checkpoint, on an empty disk either', { timeout }, () => {
    expect(run(all, { ...size, disks: true }, followsAnchor).counterexample).toBeUndefined();
  });

  test('does on an empty disk without a checkpoint', { timeout }, () => {
    const { counterexample } = run({ ...all, checkpoint: false }, { ...size, disks: true }, followsAnchor);
    expect(counterexample!.at(-1)).toMatch(/^use/);
  });

  test('uses nobody whose removal an honest member has proven to it', { timeout }, () => {
    expect(run(all, { ...size, disks: true }, heedsMembers).counterexample).toBeUndefined();
  });

  test('does when it does not heed what members prove', { timeout }, () => {
    const { counterexample } = run({ ...all, heeds: false }, { ...size, disks: true }, heedsMembers);
    expect(counterexample!.some((step) => step.startsWith('meets'))).toBe(true);
    expect(counterexample!.at(-1)).toMatch(/^use/);
  });

  test('uses nobody who was removed by a token that it verified and could not take', { timeout }, () => {
    expect(run(all, { ...size, disks: true }, heedsTokens).counterexample).toBeUndefined();
  });

  test('does when it goes on with the token before', { timeout }, () => {
    const { counterexample } = run({ ...all, stops: false }, { ...size, disks: true }, heedsTokens);
    expect(counterexample!.some((step) => step.startsWith('cannot take'))).toBe(true);
    expect(counterexample!.at(-1)).toMatch(/^use/);
  });
});
