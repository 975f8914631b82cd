/**
 * Who may make which token, as a pure model: operators sign proposals, members make tokens of them, the store takes one
 * token of each generation, members install tokens, crash and restart, the stored tokens are lost once and an offline
 * member goes on, and the clock of one member may run ahead. A stranger reaches every member: it has what was ever
 * signed or made prepared and installed wherever that is taken, in any order. The last member is hostile: it makes as
 * many tokens as it is asked for. docs/domain.md tells the same in words.
 */
export interface Guards {
  /** A command names the one member that may make its token. */
  readonly preparer: boolean;
  /** A member gives the token of a generation that it made before, and keeps it over a restart. */
  readonly keeps: boolean;
  /** A command is bound to the token that it follows, and not to a generation alone. */
  readonly bound: boolean;
  /** Nobody takes a token that is from the future by its own clock. */
  readonly clock: boolean;
  /** A member that dated a token ahead makes no other of that generation when its clock is right again. */
  readonly waits: boolean;
}

export interface World {
  readonly members: number;
  readonly generations: number;
  /** The last member is hostile. */
  readonly hostile: boolean;
  /** The first member's clock may run ahead. */
  readonly wrongClock: boolean;
  /** Operators may sign again for the same token, naming another member. */
  readonly again: boolean;
  /** The stored tokens after the first may be lost, and an offline member goes on. */
  readonly loss: boolean;
}

interface Token {
  /** Index of the token that it follows; -1 for the first. */
  readonly parent: number;
  readonly generation: number;
  readonly maker: number;
  readonly proposal: number;
  readonly ahead: boolean;
}

interface Proposal {
  readonly generation: number;
  /** Index of the token it was signed for. */
  readonly parent: number;
  readonly preparer: number;
}

interface Member {
  /** Index of the installed token. */
  readonly installed: number;
  /** Index of the token it made to follow it; -1 for none. */
  readonly prepared: number;
}

export interface State {
  /** Every token ever made. Index 0 is the founding token. */
  readonly tokens: readonly Token[];
  readonly proposals: readonly Proposal[];
  /** Indexes into `tokens`: what the store shows. */
  readonly chain: readonly number[];
  readonly members: readonly Member[];
  readonly lost: boolean;
  /** Of the first member. */
  readonly clock: 'right' | 'ahead' | 'set right';
}

export type Step = readonly [name: string, next: State];

export function initialState({ members }: World): State {
  return {
    tokens: [{ parent: -1, generation: 1, maker: 0, proposal: -1, ahead: false }],
    proposals: [],
    chain: [0],
    members: Array.from({ length: members }, () => ({ installed: 0, prepared: -1 })),
    lost: false,
    clock: 'right',
  };
}

export function keyOf({ tokens, proposals, chain, members, lost, clock }: State): string {
  const made = tokens.map((one) => `${one.parent}.${one.maker}.${one.proposal}${one.ahead ? '!' : ''}`).join();
  const signed = proposals.map((one) => `${one.generation}.${one.parent}.${one.preparer}`).join();
  const hsms = members.map(({ installed, prepared }) => `${installed}.${prepared}`).join();
  return `${made} ${signed} ${chain.join('.')} ${hsms} ${lost} ${clock}`;
}

/** No member is on another branch than the store and the others: of two that are held, one leads to the other. */
export function isOneChain({ tokens, chain, members }: State): boolean {
  const held = [...members.map(({ installed }) => installed), chain.at(-1)!];
  return held.every((a) => held.every((b) => leadsTo(tokens, a, b) || leadsTo(tokens, b, a)));
}

/** Every token that somebody holds was made of a proposal that was signed for the token it follows. */
export function isAsSigned({ tokens, proposals, chain, members }: State): boolean {
  const held = [...members.map(({ installed }) => installed), ...chain];
  return held.every((index) => {
    const { parent, proposal } = tokens[index]!;
    return proposal < 0 || proposals[proposal]!.parent === parent;
  });
}

/** No member with a right clock, and not the store, holds a token from the future. */
export function isInThePast({ tokens, chain, members }: State): boolean {
  const held = [...members.slice(1).map(({ installed }) => installed), ...chain];
  return held.every((index) => !tokens[index]!.ahead);
}

function leadsTo(tokens: readonly Token[], from: number, to: number): boolean {
  let at = to;
  while (at > from) at = tokens[at]!.parent;
  return at === from;
}

export function stepsOf(state: State, guards: Guards, world: World): Step[] {
  return [
    ...signSteps(state, world),
    ...prepareSteps(state, guards, world),
    ...storeSteps(state, guards),
    ...state.members.flatMap((_, i) => memberSteps(state, i, guards)),
    ...accidents(state, world),
  ];
}

/** For the newest stored token: by people, who read it there, or by the scheduler. */
function signSteps(state: State, { members, generations, again }: World): Step[] {
  const { tokens, proposals, chain } = state;
  const parent = chain.at(-1)!;
  const { generation } = tokens[parent]!;
  const signed = proposals.filter((one) => one.parent === parent);
  if (generation >= generations || signed.length > (again ? 1 : 0)) return [];
  return Array.from({ length: members }, (_, i) => i)
    .filter((preparer) => signed.every((one) => one.preparer !== preparer))
    .map((preparer) => [
      `sign for ${generation} by ${preparer}`,
      { ...state, proposals: [...proposals, { generation, parent, preparer }] },
    ]);
}

/** Anyone asks any member, with any proposal that was ever signed. */
function prepareSteps(state: State, guards: Guards, world: World): Step[] {
  const { tokens, proposals, members } = state;
  return members.flatMap(({ installed, prepared }, i) =>
    proposals.flatMap((proposal, index): Step[] => {
      const isHostile = world.hostile && i === members.length - 1;
      const { generation } = tokens[installed]!;
      const fits = proposal.generation === generation && (!guards.bound || proposal.parent === installed);
      if (!fits || (guards.preparer && proposal.preparer !== i)) return [];
      // Asked again it gives the same bytes: nothing is new.
      const ahead = i === 0 && state.clock === 'ahead';
      const isBound = prepared >= 0 && (guards.waits || ahead || !tokens[prepared]!.ahead);
      if (guards.keeps && !isHostile && isBound) return [];
      const token = { parent: installed, generation: generation + 1, maker: i, proposal: index, ahead };
      // Two of each are as good as many.
      const twins = tokens.filter((one) => one.parent === installed && one.maker === i && one.proposal === index);
      if (twins.length > 1) return [];
      return [
        [
          `prepare(${i})`,
          {
            ...state,
            tokens: [...tokens, token],
            members: members.with(i, { installed, prepared: tokens.length }),
          },
        ],
      ];
    }),
  );
}

/** The store takes the first that follows its newest. */
function storeSteps(state: State, { clock }: Guards): Step[] {
  const head = state.chain.at(-1)!;
  return state.tokens.flatMap(({ parent, ahead }, index): Step[] =>
    parent === head && !(clock && ahead) ? [['store', { ...state, chain: [...state.chain, index] }]] : [],
  );
}

/** Whoever brings it: a member installs what follows its own. */
function memberSteps(state: State, i: number, { clock, keeps }: Guards): Step[] {
  const member = state.members[i]!;
  const become = (name: string, next: Member): Step => [
    `${name}(${i})`,
    { ...state, members: state.members.with(i, next) },
  ];
  const steps = state.tokens.flatMap(({ parent, generation, ahead }, index): Step[] => {
    const refused = parent !== member.installed || (clock && ahead && !(i === 0 && state.clock === 'ahead'));
    return refused ? [] : [become(`install ${generation}`, { installed: index, prepared: -1 })];
  });
  if (!keeps && member.prepared >= 0) steps.push(become('restart', { ...member, prepared: -1 }));
  return steps;
}

function accidents(state: State, { wrongClock, loss }: World): Step[] {
  const steps: Step[] = [];
  if (wrongClock && state.clock === 'right') steps.push(['clock runs ahead', { ...state, clock: 'ahead' }]);
  if (state.clock === 'ahead') steps.push(['clock is set right', { ...state, clock: 'set right' }]);
  if (state.clock === 'set right' && state.tokens.some(({ ahead }) => ahead)) {
    steps.push(['its time comes', { ...state, tokens: state.tokens.map((token) => ({ ...token, ahead: false })) }]);
  }
  // What the store and all volumes held since the first token is gone; fresh members and the offline one know that
  // token only.
  if (loss && !state.lost && state.chain.length > 1) {
    const members = state.members.map(() => ({ installed: 0, prepared: -1 }));
    steps.push(['all is lost', { ...state, chain: [0], members, lost: true }]);
  }
  return steps;
}
