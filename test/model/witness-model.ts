/**
 * Who may be a token's witness, as a pure model: who may say that a new domain token holds the domain's keys. Member 0
 * is hostile and makes every token: a rotation, or the admission of member 3, with the domain's keys in it or with
 * others under the same ids, and sealed for all or wrongly for one member. Members 1 and 2 are honest. They restart,
 * both at once too, and open the newest token again some time later. A token counts with one signature, and the hostile
 * member asks whomever it likes, so whoever would sign does. Which token comes next is next-token-model.ts.
 * docs/domain.md tells the same in words ("Why a token has a witness").
 */
export interface Guards {
  /** A token's maker is none. */
  readonly other: boolean;
  /** Nor is a worker that the token admits. */
  readonly veterans: boolean;
  /** A member that has no keys, as after a restart, signs nothing. */
  readonly keys: boolean;
  /** A member that opens its newest token after a restart compares it with the one that it had opened last. */
  readonly compares: boolean;
  /** A member signs only what every other member can open too. */
  readonly forAll: boolean;
}

export interface World {
  /** People sign of every change that the word of member 0, which is to make its token, is enough. */
  readonly unwitnessed: boolean;
}

type Keys = 'none' | 'the domain’s' | 'others';

interface Token {
  /** Whether it holds the domain's keys. */
  readonly good: boolean;
  /** Whether member 3 is in it. */
  readonly admits: boolean;
  /** For whom it is sealed wrongly; 0 for nobody. */
  readonly shutsOut: 0 | Honest;
}

export interface State {
  readonly tokens: readonly Token[];
  /** What members 1 and 2 have, and member 3. */
  readonly held: readonly [Keys, Keys, Keys];
  /** What each had before it was started again. */
  readonly had: readonly [Keys, Keys, Keys];
}

export type Step = readonly [name: string, next: State];

const GENERATIONS = 3;
const HONEST: readonly Honest[] = [1, 2, 3];
type Honest = 1 | 2 | 3;

export const initialState: State = {
  tokens: [{ good: true, admits: false, shutsOut: 0 }],
  held: ['the domain’s', 'the domain’s', 'none'],
  had: ['the domain’s', 'the domain’s', 'none'],
};

export function keyOf(state: State): string {
  return JSON.stringify(state);
}

/** No stored token holds other keys. */
export function isKept({ tokens }: State): boolean {
  return tokens.every(({ good }) => good);
}

/** Every stored token opens for all its members. */
export function opensForAll({ tokens }: State): boolean {
  return tokens.every(({ shutsOut }) => shutsOut === 0);
}

/** No honest member that had the domain's keys takes others for them. */
export function takesNoOthers({ held }: State): boolean {
  return held[0] !== 'others' && held[1] !== 'others';
}

export function stepsOf(state: State, guards: Guards, world: World): Step[] {
  return [...makings(state, guards, world), ...HONEST.flatMap((who) => lifeOf(who, state, guards))];
}

function lifeOf(who: Honest, state: State, guards: Guards): Step[] {
  const steps: Step[] = [];
  const now = heldBy(who, state);
  if (now !== 'none') steps.push([`restart(${who})`, withHeld(state, who, 'none')]);
  const newest = state.tokens.at(-1)!;
  const had = state.had[who - 1]!;
  const opened = newest.good ? 'the domain’s' : 'others';
  if (now !== 'none' || !opensFor(who, newest)) return steps;
  if (guards.compares && had !== 'none' && had !== opened) return steps;
  const next = withHeld(state, who, opened);
  return [...steps, [`open(${who})`, { ...next, had: next.had.with(who - 1, opened) as unknown as State['had'] }]];
}

function makings(state: State, guards: Guards, { unwitnessed }: World): Step[] {
  if (state.tokens.length === GENERATIONS) return [];
  const { admits: has3 } = state.tokens.at(-1)!;
  return [has3, true].flatMap((admits) =>
    [true, false].flatMap((good) =>
      ([0, 1, 2, 3] as const).flatMap((shutsOut): Step[] => {
        const token = { good, admits, shutsOut };
        if ((shutsOut === 3 && !admits) || !(unwitnessed || isWitnessed(token, state, guards))) return [];
        const keys = good ? '' : ', with other keys';
        const name = `${admits && !has3 ? 'admit 3' : 'rotate'}${keys}${shutsOut === 0 ? '' : `, not for ${shutsOut}`}`;
        const next = { ...state, tokens: [...state.tokens, token] };
        // It cannot follow, and so has nothing with which it could compare the next.
        return [[name, shutsOut === 0 ? next : withHeld(next, shutsOut, 'none')]];
      }),
    ),
  );
}

function isWitnessed(token: Token, state: State, guards: Guards): boolean {
  const newest = state.tokens.at(-1)!;
  const asked = HONEST.filter((who) => isIn(who, token) && (!guards.veterans || isIn(who, newest)));
  return !guards.other || asked.some((who) => signs(who, token, state, guards));
}

function signs(who: Honest, token: Token, state: State, { keys, forAll }: Guards): boolean {
  const { good } = token;
  if (!opensFor(who, token) || (forAll && token.shutsOut !== 0)) return false;
  const held = heldBy(who, state);
  if (held !== 'none') return good === (held === 'the domain’s');
  return !keys || !isIn(who, state.tokens.at(-1)!);
}

function isIn(who: Honest, { admits }: Token): boolean {
  return who < 3 || admits;
}

function opensFor(who: Honest, token: Token): boolean {
  return isIn(who, token) && token.shutsOut !== who;
}

function heldBy(who: Honest, { held }: State): Keys {
  return held[who - 1]!;
}

function withHeld(state: State, who: Honest, keys: Keys): State {
  return { ...state, held: state.held.with(who - 1, keys) as unknown as State['held'] };
}
