import { describe, expect, test } from 'vitest';
import {
  initialState,
  isOpenable,
  keyOf,
  type Protocol,
  type Size,
  type State,
  stepsOf,
} from './model/domain-model.ts';
import { type Exploration, explore } from './model/explore.ts';

const small: Size = { founders: 2, members: 2, generations: 3, removal: false };
const withAdmissionAndRemoval: Size = { founders: 2, members: 3, generations: 3, removal: true };
const timeout = 120_000;

function run(protocol: Protocol, size: Size, holds: (state: State) => boolean = isOpenable): Exploration {
  return explore({ initial: initialState(size), stepsOf: (state) => stepsOf(state, protocol, size), keyOf, holds });
}

/** What docs/domain.md asks for before a domain key is dropped. */
const fenced: Protocol = { fence: true, confirm: false, floor: false };
const confirmed: Protocol = { fence: false, confirm: true, floor: true };

describe('in every reachable state of a small domain', () => {
  test(
    'with frontends that store nothing under old domain keys, what is stored opens, whatever members do or forget',
    { timeout },
    () => {
      const { states, counterexample } = run(fenced, withAdmissionAndRemoval);
      expect(counterexample).toBeUndefined();
      expect(states).toBeGreaterThan(10_000);
    },
  );

  test(
    'with members that confirm and never go back, what is stored opens as long as nobody is removed',
    { timeout },
    () => {
      const { states, counterexample } = run(confirmed, small);
      expect(counterexample).toBeUndefined();
      expect(states).toBeGreaterThan(10_000);
    },
  );

  test('both protocols do come to drop a domain key under which something was stored before', { timeout }, () => {
    const neverDropped = ({ tokens, stored }: State) => stored === 0 || tokens.at(-1)!.keys.includes(1);
    expect(run(fenced, small, neverDropped).counterexample).toContain('rotate and drop');
    expect(run(confirmed, small, neverDropped).counterexample).toContain('rotate and drop');
  });
});

describe('a key can be lost', () => {
  test('when domain keys are dropped as soon as nothing is under them', { timeout }, () => {
    const { counterexample } = run({ fence: false, confirm: false, floor: true }, small);
    expect(counterexample).toContain('rotate and drop');
  });

  test('when a restarted member may be given an older token than it had', { timeout }, () => {
    const { counterexample } = run({ ...confirmed, floor: false }, small);
    expect(counterexample).toEqual(expect.arrayContaining(['crash(0)', 'install 1(0)', 'rotate and drop']));
  });

  test(
    'when a removed member, which nobody waits for, goes on sealing for a frontend that does not know it',
    { timeout },
    () => {
      const { counterexample } = run(confirmed, { ...small, removal: true });
      expect(counterexample).toEqual(expect.arrayContaining(['remove(0)', 'seal(0)', 'rotate and drop']));
    },
  );
});
