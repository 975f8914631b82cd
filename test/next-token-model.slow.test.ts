import { describe, expect, test } from 'vitest';
import { type Exploration, explore, exploreHeldUp } from './model/explore.ts';
import { honestSteps, isOneChain, isOver, opens, stepsOf } from './model/next-token-model.ts';
import { type Guards, initialState, keyOf, type Play, type State, type World } from './model/next-token-state.ts';

const all: Guards = {
  witnessed: true,
  unwitnessed: true,
  signed: true,
  names: true,
  waiver: true,
  veto: true,
  maker: true,
  always: true,
  leaver: true,
  takesAny: true,
  asks: true,
  vouches: true,
  shown: true,
};

function modelOf(play: Play) {
  return { initial: initialState(play.world), stepsOf: (state: State) => stepsOf(state, play), keyOf };
}

/** How two honest members, or one and the domain-manager, come to tokens of which neither leads to the other. */
function split(guards: Guards, world: World) {
  return explore({ ...modelOf({ guards, world }), holds: (state) => isOneChain(state, world) }).counterexample;
}

/** How a token for nobody comes to count. */
function closed(guards: Guards, world: World) {
  const play = { guards, world };
  return explore({ ...modelOf(play), holds: (state) => opens(state, play) }).counterexample;
}

/** How whoever works against the domain can be kept in it for ever, or a member that stays from the newest token. */
function heldUp(guards: Guards, world: World): Exploration {
  const play = { guards, world };
  const helpful = (state: State) => honestSteps(state, play);
  return exploreHeldUp({ ...modelOf(play), helpful, reached: (state) => isOver(state, world) });
}

const hostile: World = { members: 3, hostile: true };

describe('a hostile member', () => {
  const worlds: World[] = [
    { ...hostile, away: true },
    { ...hostile, away: true, crash: true, rotations: 1 },
    { ...hostile, twins: true },
    { ...hostile, removal: { who: 2, by: 1 }, crash: true, rotations: 1 },
    { ...hostile, removal: { who: 1, by: 0 }, rotations: 1 },
    { members: 2, hostile: true, twins: true, away: true },
  ];

  test('does not hold up its own removal, whoever is bound to whichever token', () => {
    for (const world of worlds) expect(heldUp(all, world).counterexample).toBeUndefined();
    expect(heldUp(all, worlds[0]!).states).toBeGreaterThan(5_000);
  });

  test('splits nothing, and has no token for nobody taken by anybody', () => {
    for (const world of worlds) {
      expect(split(all, world)).toBeUndefined();
      expect(closed(all, world)).toBeUndefined();
    }
  });

  test('has one taken, if tokens count without a witness', () => {
    expect(closed({ ...all, witnessed: false }, hostile)).toEqual(['0 makes one for nobody']);
  });

  test('holds up its removal once the others are bound to rotations, if it is heard although it is about to leave', () => {
    expect(heldUp({ ...all, leaver: false }, { ...hostile, twins: true }).counterexample).toEqual([
      '1 rotates',
      '2 rotates',
      '0 says that it holds another',
    ]);
  });

  test('need only wait until the others are bound, if no token of another change is taken', () => {
    expect(heldUp({ ...all, takesAny: false }, { ...hostile, twins: true }).counterexample).toEqual([
      '1 rotates',
      '2 rotates',
    ]);
  });

  test('holds it up in a domain of two from the start, if nobody can sign that one member’s word is enough', () => {
    expect(heldUp({ ...all, unwitnessed: false }, { members: 2, hostile: true }).counterexample).toEqual([]);
  });
});

describe('a hostile member that is the only witness in reach', () => {
  const alone: World = { ...hostile, lost: [2] };
  const removing: World = { ...alone, removal: { who: 2, by: 1 }, rotations: 1 };

  test('does not hold up its own removal, and has no token for nobody taken', () => {
    for (const world of [alone, removing]) {
      expect(heldUp(all, world).counterexample).toBeUndefined();
      expect(closed(all, world)).toBeUndefined();
    }
  });

  test('holds it up from the start, if nobody can sign that one member’s word is enough', () => {
    expect(heldUp({ ...all, unwitnessed: false }, alone).counterexample).toEqual([]);
  });

  test('holds it up once the other is bound to another change, if that covers no token from before', () => {
    expect(heldUp({ ...all, waiver: false }, alone).counterexample).toEqual(['1 rotates']);
    expect(heldUp({ ...all, waiver: false }, removing).counterexample).toEqual(['1 removes 2']);
  });

  test('has a token for nobody taken, if what people sign of the other’s word is true of its own', () => {
    expect(closed({ ...all, names: false }, alone)).toEqual(['sign --unwitnessed', '0 makes one for nobody']);
  });

  test('and has a scheduler’s key has one taken, if a machine can sign that its word is enough', () => {
    const world: World = { ...hostile, key: true };
    expect(closed(all, world)).toBeUndefined();
    expect(closed({ ...all, signed: false }, world)).toEqual(['0 makes one for nobody']);
  });
});

describe('whoever has a scheduler’s key', () => {
  const world: World = { members: 3, key: true, twins: true };

  test('splits and holds up nothing, with a hostile member or without', () => {
    for (const one of [world, { ...hostile, key: true }]) {
      expect(split(all, one)).toBeUndefined();
      expect(heldUp(all, one).counterexample).toBeUndefined();
    }
  });

  test('splits the domain, if members install what is sent to them', () => {
    const apart = ['0 rotates, confirmed', '1 rotates, confirmed', '0 installs 1', '1 installs 2'];
    expect(split({ ...all, shown: false }, world)).toEqual(apart);
    expect(heldUp({ ...all, shown: false }, world).counterexample).toEqual(apart);
  });

  const manager: World = { members: 3, key: true, manager: true };
  const crash: World = { ...manager, crash: true, rotations: 1 };

  test('and shows members, as a domain-manager, what nobody stores, holds up nothing', () => {
    for (const one of [manager, crash]) {
      expect(split(all, one)).toBeUndefined();
      expect(heldUp(all, one).counterexample).toBeUndefined();
    }
  });

  test('has a member split from the others by a token that it made before, if nobody asks the maker', () => {
    const apart = [
      'sign',
      '0 makes it, and the domain-manager dies',
      '1 rotates, confirmed',
      '0 installs 2',
      'bring 1',
    ];
    expect(split({ ...all, maker: false }, crash)).toEqual(apart);
    expect(heldUp({ ...all, maker: false }, crash).counterexample).toEqual(apart);
  });

  test('ends the domain by one such token, if nobody asks members for it', () => {
    expect(heldUp({ ...all, asks: false }, manager).counterexample).toEqual(['0 rotates, confirmed', '0 installs 1']);
  });

  test('ends it by two in a row, if each member gives its newest alone', () => {
    const inARow = [1, 2].flatMap((of) => ['0 rotates, confirmed', ...[0, 1].map((who) => `${who} installs ${of}`)]);
    expect(heldUp({ ...all, vouches: false }, manager).counterexample).toEqual(inARow);
  });

  test('splits it by showing two of one generation: this is the limit', () => {
    expect(split(all, { ...manager, twins: true })).toHaveLength(4);
    expect(split(all, { ...hostile, key: true, manager: true })).toHaveLength(4);
    expect(closed(all, { ...hostile, key: true, manager: true })).toBeUndefined();
  });
});

describe('a hostile member and whoever writes the store', () => {
  test('split nothing, have no token for nobody taken, and hold up what people can decide', () => {
    const world: World = { ...hostile, writer: true };
    expect(split(all, world)).toBeUndefined();
    expect(closed(all, world)).toBeUndefined();
    expect(heldUp(all, world).counterexample).toBeUndefined();
  });

  const taker: World = { ...hostile, taker: true };

  test('have nothing made anew that members hold, if he takes tokens out, and it is stored again', () => {
    expect(split(all, taker)).toBeUndefined();
    expect(heldUp(all, taker).counterexample).toBeUndefined();
  });

  test('have another stored in its place, without the removal, if a member that holds it holds up nothing', () => {
    const apart = ['sign', '1 rotates', '2 makes it', 'he takes the newest', 'restart', 'bring 1, which 0 confirms'];
    expect(split({ ...all, veto: false }, taker)).toEqual(apart);
    // Or nothing that has a witness.
    expect(split({ ...all, always: false }, taker)).toEqual(apart);
  });

  test('have it lost, if nobody asks members for it', () => {
    const lost = ['sign', '1 makes it', 'he takes the newest', 'restart'];
    expect(heldUp({ ...all, asks: false }, taker).counterexample).toEqual(lost);
  });

  test('have another believed in its place by domain-managers that start, if he also puts it there: this is the limit', () => {
    const both: World = { ...taker, writer: true };
    const apart = ['sign', '1 rotates', '2 makes it', 'he takes the newest', 'he stores 1', 'restart'];
    expect(split(all, both)).toEqual(apart);
    expect(closed(all, both)).toBeUndefined();
    expect(heldUp(all, both).counterexample).toBeUndefined();
  });
});

test('a hostile member and whoever takes tokens out have one made anew while who holds it is away: this is the limit', () => {
  const world: World = { members: 2, hostile: true, taker: true, away: true };
  expect(split(all, world)).toEqual(expect.arrayContaining(['1 is away', 'he takes the newest', 'restart']));
  expect(closed(all, world)).toBeUndefined();
  expect(heldUp(all, world).counterexample).toBeUndefined();
});

test('whoever takes tokens out of the store has none made anew by who missed it, whoever else is away', () => {
  const world: World = { members: 3, taker: true, away: true, rotations: 1 };
  expect(split(all, world)).toBeUndefined();
  expect(split({ ...all, maker: false }, world)).toEqual([
    'sign',
    '0 is away',
    '1 rotates',
    '2 makes it',
    'all are back',
    '2 is away',
    'he takes the newest',
    'restart',
    'bring 1',
  ]);
});
