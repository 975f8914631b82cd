import { describe, expect, test } from 'vitest';
import { type Exploration, explore, exploreHeldUp } from './model/explore.ts';
import { honestSteps, isOneChain, isOver, neverGoesBack, opens, stepsOf } from './model/next-token-model.ts';
import { type Guards, initialState, keyOf, type State, type World } from './model/next-token-state.ts';

const all: Guards = {
  veto: true,
  maker: true,
  leaver: true,
  asked: true,
  takesAny: true,
  waits: true,
  found: true,
  outweighs: true,
  two: true,
  onward: true,
  unsure: true,
  stays: true,
  built: true,
  asks: true,
  vouches: true,
  shown: true,
};

function modelOf(guards: Guards, world: World) {
  return { initial: initialState(world), stepsOf: (state: State) => stepsOf(state, { guards, world }), keyOf };
}

function run(guards: Guards, world: World, holds: (state: State, world: World) => boolean) {
  return explore({ ...modelOf(guards, world), holds: (state) => holds(state, world) }).counterexample;
}

/** How whoever works against the domain can be kept in it for ever, or a member that stays from the newest token. */
function heldUp(guards: Guards, world: World): Exploration {
  const helpful = (state: State) => honestSteps(state, { guards, world });
  return exploreHeldUp({ ...modelOf(guards, world), helpful, reached: (state) => isOver(state, world) });
}

describe('a hostile member', () => {
  const world: World = { members: 3, hostile: true, twins: true, away: 'one' };
  const ofTwo: World = { members: 2, hostile: true, twins: true };

  test('that holds up every change does not hold up its own removal, whoever is bound to whichever token', () => {
    for (const one of [world, ofTwo]) expect(heldUp(all, one).counterexample).toBeUndefined();
    expect(heldUp(all, world).states).toBeGreaterThan(10_000);
  });

  test('holds it up once the others are bound to rotations, if it is heard although it is about to leave', () => {
    expect(heldUp({ ...all, leaver: false }, world).counterexample).toEqual([
      '1 rotates',
      '2 rotates',
      '0 says that it holds another',
    ]);
  });

  test('need only wait until the others are bound, if no token of another change is taken', () => {
    expect(heldUp({ ...all, takesAny: false }, world).counterexample).toEqual(['1 rotates', '2 rotates']);
  });

  test('splits nothing, has no token for nobody taken, and has nothing forgotten', () => {
    for (const holds of [isOneChain, opens, neverGoesBack]) {
      expect(run(all, world, holds)).toBeUndefined();
      expect(run(all, ofTwo, holds)).toBeUndefined();
    }
  });

  test('has a domain-manager forget what it believed, if that gives up what members deny', () => {
    expect(run({ ...all, stays: false }, world, neverGoesBack)).toContain('0 says no');
  });

  test('has no token for nobody taken while other members are about to leave', () => {
    for (const by of [0, 2]) expect(run(all, { ...world, replaced: [{ who: 1, by }] }, opens)).toBeUndefined();
    const fleet = [1, 2].map((who) => ({ who, by: 0 }));
    expect(run(all, { ...world, replaced: fleet }, opens)).toBeUndefined();
  });

  test('has it taken then, if nobody is asked who is about to leave', () => {
    const replaced = [{ who: 1, by: 2 }];
    expect(run({ ...all, asked: false, waits: false }, { ...world, replaced }, opens)).toEqual([
      '2 is away',
      '0 makes one for nobody',
      'bring 1',
    ]);
  });
});

describe('whoever has a scheduler’s key', () => {
  const world: World = { members: 3, key: true, twins: true };

  test('splits and holds up nothing', () => {
    expect(run(all, world, isOneChain)).toBeUndefined();
    expect(heldUp(all, world).counterexample).toBeUndefined();
  });

  test('holds up every change once all are bound, if no token of another change is taken', () => {
    const ofTwo: World = { ...world, members: 2 };
    expect(heldUp(all, ofTwo).counterexample).toBeUndefined();
    expect(heldUp({ ...all, takesAny: false }, ofTwo).counterexample).toEqual(['0 rotates', '1 rotates']);
  });

  test('splits the domain, if members install what is sent to them', () => {
    const split = ['0 rotates', '1 rotates', '0 installs 1', '1 installs 2'];
    expect(run({ ...all, shown: false }, world, isOneChain)).toEqual(split);
    expect(heldUp({ ...all, shown: false }, world).counterexample).toEqual(split);
  });

  const manager: World = { members: 3, key: true, manager: true };

  test('and shows members, as a domain-manager, what nobody stores, holds up nothing', () => {
    expect(run(all, manager, isOneChain)).toBeUndefined();
    expect(heldUp(all, manager).counterexample).toBeUndefined();
    expect(heldUp(all, manager).states).toBeGreaterThan(1_000);
  });

  test('ends the domain by one such token, if nobody asks members for it', () => {
    expect(heldUp({ ...all, asks: false }, manager).counterexample).toEqual(['0 rotates', '0 installs 1']);
  });

  test('ends it by two in a row, if each member gives and confirms its newest alone', () => {
    const inARow = ['0 rotates', '0 installs 1', '0 rotates', '0 installs 2'];
    expect(heldUp({ ...all, vouches: false }, manager).counterexample).toEqual(inARow);
  });

  test('splits it by showing two of one generation: this is the limit', () => {
    expect(run(all, { ...manager, twins: true }, isOneChain)).toHaveLength(4);
  });
});

describe('a hostile member and whoever writes the store', () => {
  const world: World = { members: 3, hostile: true, writer: true, twins: true };

  test('split nothing, have nothing forgotten, and hold up what people can decide', () => {
    expect(run(all, world, isOneChain)).toBeUndefined();
    expect(run(all, world, neverGoesBack)).toBeUndefined();
    expect(heldUp(all, world).counterexample).toBeUndefined();
    expect(heldUp(all, { ...world, away: 'one' }).counterexample).toBeUndefined();
  });

  test('have a token for nobody taken, if nobody asks about what lies in the store', () => {
    expect(run({ ...all, found: false }, world, opens)).toEqual(['0 makes one for nobody', 'he stores 1', 'look']);
  });

  test('have none taken that is found while members lack the one before it, unless it is believed as well', () => {
    expect(run(all, world, opens)).toBeUndefined();
    const unseen = { ...all, onward: false, unsure: false };
    expect(run(unseen, world, opens)).toContain('he stores 2');
  });

  test('have none taken for good while nobody is in reach, unless it is stored or never given up', () => {
    const alone: World = { ...world, twins: false, away: 'all' };
    expect(run(all, alone, opens)).toBeUndefined();
    const made = ['all are away', '0 makes one for nobody'];
    expect(run({ ...all, waits: false }, alone, opens)).toEqual([...made, 'bring 1']);
    expect(run({ ...all, unsure: false }, alone, opens)).toEqual([...made, 'he stores 1', 'look']);
  });

  test('have tokens forgotten, if one that denies them outweighs another', () => {
    const denied = ['1 rotates', 'bring 1', 'he takes the check', '0 says no', 'restart'];
    expect(run({ ...all, outweighs: false }, world, neverGoesBack)).toEqual(denied);
  });

  test('have older ones forgotten, if those can be denied on which others have built', () => {
    expect(run({ ...all, built: false }, world, neverGoesBack)).toContain('0 says no');
  });

  test('have what was never confirmed forgotten while whoever could confirm it is away: this is the limit', () => {
    const forgotten = ['1 is away', '2 rotates', 'bring 1', 'he takes the check', '0 says no', 'restart'];
    expect(run(all, { ...world, away: 'one' }, neverGoesBack)).toEqual(forgotten);
  });
});

describe('a hostile member and whoever takes tokens out of the store', () => {
  const world: World = { members: 3, hostile: true, taker: true, twins: true };

  test('have nothing made anew that members hold, and it is stored again', () => {
    expect(run(all, world, isOneChain)).toBeUndefined();
    expect(heldUp(all, world).counterexample).toBeUndefined();
  });

  test('have it made anew, without the removal, if a member that holds it holds up nothing', () => {
    const anew = ['sign', '1 rotates', '2 makes it', 'he takes the newest', 'restart', 'bring 1'];
    expect(run({ ...all, veto: false, maker: false }, world, isOneChain)).toEqual(anew);
  });

  test('have it made anew by who holds it and made another before, if that one holds up nothing', () => {
    const away: World = { ...world, twins: false, away: 'one' };
    const anew = ['sign', '1 rotates', '2 makes it', '2 is away', 'he takes the newest', 'restart', 'bring 1'];
    expect(run({ ...all, maker: false }, away, isOneChain)).toEqual(anew);
    // Where only who missed it is in reach: this is the limit.
    expect(run(all, away, isOneChain)).toEqual(expect.arrayContaining(['all are back', '2 is away', '1 makes it']));
  });

  test('have another believed in its place, if two that hold it do not outweigh one that confirms', () => {
    const writing: World = { ...world, writer: true };
    const believed = ['sign', '1 rotates', '2 makes it', 'he takes the newest', 'he stores 1', 'people restart'];
    expect(run({ ...all, two: false }, writing, isOneChain)).toEqual(believed);
    // Unless all have gone on by one more token: this is the limit.
    expect(run(all, writing, isOneChain)!.filter((step) => step === 'he takes the newest')).toHaveLength(2);
  });

  test('have it lost, if nobody asks members for it', () => {
    const lost = ['sign', '1 makes it', 'he takes the newest', 'restart'];
    expect(heldUp({ ...all, asks: false }, world).counterexample).toEqual(lost);
  });
});
