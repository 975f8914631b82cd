/**
 * Which token comes next, as a pure model. Somebody works against the domain: a member that makes tokens for nobody and
 * answers as it likes; or whoever has a scheduler's key, and with it members make tokens that nobody stores; or a
 * domain-manager, and shows these to members; or whoever writes the store. Operators sign that he goes: that is the
 * change. All others are honest, and one may be away. A token opens for all its members or, if it is not good, for
 * nobody but its maker. Who can confirm a token is witness-model.ts, and who may make one fork-model.ts. docs/domain.md
 * tells the same in words ("Why another member checks").
 */
export interface Guards {
  /** A member that signs that it holds another token holds up what is made in its place. */
  readonly veto: boolean;
  /** So does the maker of that. */
  readonly maker: boolean;
  /** Except whoever is about to leave, against what the preparer of that removal made. */
  readonly leaver: boolean;
  /** Whoever is about to leave is asked all the same. */
  readonly asked: boolean;
  /** Of a member that is bound to another change, the token of that one is taken. */
  readonly takesAny: boolean;
  /** Where nobody in reach can check it, nothing is stored but what those signed who may change the members. */
  readonly waits: boolean;
  /** Members are asked about a token that was found in the store. */
  readonly found: boolean;
  /** One that confirms it outweighs those that deny it. */
  readonly outweighs: boolean;
  /** Two that sign that they hold the same other token outweigh that one. */
  readonly two: boolean;
  /** None is believed after one that members confirm. */
  readonly onward: boolean;
  /** What is believed because nobody can say is given up once members deny it. */
  readonly unsure: boolean;
  /** And nothing else that is believed. */
  readonly stays: boolean;
  /** Nobody can deny a token on which another than its maker has built. */
  readonly built: boolean;
  /** The domain-manager asks members for the next token if they hold a later one than the store. */
  readonly asks: boolean;
  /** A member gives and confirms each of the tokens that led to its own, and not its own alone. */
  readonly vouches: boolean;
  /** A member installs what its domain-managers show, and nothing that is only sent to it. */
  readonly shown: boolean;
}

export interface World {
  readonly members: 2 | 3;
  /** Member 0 is. */
  readonly hostile?: boolean;
  /** Somebody has a scheduler's key. */
  readonly key?: boolean;
  /** And a domain-manager. */
  readonly manager?: boolean;
  /** More than one rotation of a generation is made. */
  readonly twins?: boolean;
  /** Somebody puts tokens into the store, and takes away the check that lies beside the newest. */
  readonly writer?: boolean;
  /** Somebody takes the newest token out of the store. */
  readonly taker?: boolean;
  /** One honest member at a time may be, or all at once. */
  readonly away?: 'one' | 'all';
  /** Operators have signed that these honest members go as well, which nobody has carried out. */
  readonly replaced?: readonly Removal[];
}

export interface Removal {
  readonly who: number;
  readonly by: number;
}

export interface Token {
  /** Index of the token that it follows; -1 for the first. */
  readonly parent: number;
  readonly maker: number;
  readonly good: boolean;
  /** Who leaves by it; -1 for nobody. */
  readonly removes: number;
  readonly isChange: boolean;
}

export interface Member {
  /** Index of the installed token. */
  readonly installed: number;
  /** Index of the token that it made to follow it; -1 for none. */
  readonly prepared: number;
}

/** What the hostile member answers, whatever it is asked. */
export type Says = 'yes' | 'no' | 'that it holds another' | 'nothing';

export interface State {
  /** Every token ever made. Index 0 is the founding token. */
  readonly tokens: readonly Token[];
  /** Index of the newest in the store, and of the newest that the domain-manager relies on. */
  readonly stored: number;
  readonly believed: number;
  /** Of what it relies on, what it stored itself or a member confirmed. */
  readonly settled: number;
  /** A check lies beside the newest in the store. */
  readonly checked: boolean;
  readonly members: readonly Member[];
  readonly says: Says;
  readonly away: readonly number[];
  /** Operators have signed the change of the token that is relied on, once for each who could make it. */
  readonly signed: boolean;
  /** The newest that was ever settled, except what somebody took out of the store. */
  readonly told: number;
}

export interface Play {
  readonly guards: Guards;
  readonly world: World;
}

export function initialState({ members }: World): State {
  return {
    tokens: [{ parent: -1, maker: -1, good: true, removes: -1, isChange: false }],
    stored: 0,
    believed: 0,
    settled: 0,
    checked: true,
    members: Array.from({ length: members }, () => ({ installed: 0, prepared: -1 })),
    says: 'yes',
    away: [],
    signed: false,
    told: 0,
  };
}

export function keyOf(state: State): string {
  return JSON.stringify(state);
}

/** From now on the domain-manager does, on this token. */
export function rely(index: number, state: State): State {
  return { ...state, believed: index, signed: state.signed && index === state.believed };
}

/** And never gives it up. */
export function settle(index: number, state: State): State {
  const { tokens, told, settled } = state;
  return {
    ...rely(index, state),
    settled: leadsTo(tokens, settled, index) ? index : settled,
    told: leadsTo(tokens, told, index) ? index : told,
  };
}

export function honestOf({ members, hostile }: World): number[] {
  return Array.from({ length: members }, (_, who) => who).slice(hostile ? 1 : 0);
}

export function isHostile(who: number, { hostile }: World): boolean {
  return hostile === true && who === 0;
}

export function isThere(who: number, { away, says }: State): boolean {
  return !away.includes(who) && (who > 0 || says !== 'nothing');
}

export function membersOf(index: number, { tokens, members }: State): number[] {
  return [...members.keys()].filter((who) => isIn(who, index, tokens));
}

export function isIn(who: number, index: number, tokens: readonly Token[]): boolean {
  return chainOf(tokens, index).every((one) => tokens[one]!.removes !== who);
}

/** Oldest first. */
export function chainOf(tokens: readonly Token[], newest: number): number[] {
  const chain: number[] = [];
  for (let at = newest; at >= 0; at = tokens[at]!.parent) chain.unshift(at);
  return chain;
}

export function depthOf(tokens: readonly Token[], index: number): number {
  return chainOf(tokens, index).length - 1;
}

export function leadsTo(tokens: readonly Token[], from: number, to: number): boolean {
  return chainOf(tokens, to).includes(from);
}

/** The one that follows `from` on the way to `to`. */
export function after(from: number, to: number, tokens: readonly Token[]): number | undefined {
  const chain = chainOf(tokens, to);
  const at = chain.indexOf(from);
  return at < 0 ? undefined : chain[at + 1];
}
