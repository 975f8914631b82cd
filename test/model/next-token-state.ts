/**
 * Which token comes next, as a pure model of witnessed tokens. Somebody works against the domain: a member that makes
 * tokens for nobody, confirms what it likes and says that it holds another; or whoever has a scheduler's key, and with
 * it members make and confirm tokens that nobody stores; or a domain-manager, and shows these to members; or whoever
 * writes the store. Operators sign that he goes: that is the change. All others are honest, and some may be away or
 * lost. A token opens for all its members or, if it is not good, for nobody but its maker. Who can confirm a token is
 * witness-model.ts, and who may make one fork-model.ts. docs/domain.md tells the same in words ("Why a token has
 * a witness").
 */
export interface Guards {
  /** A token counts only if another member has confirmed it, if there is another. */
  readonly witnessed: boolean;
  /** Those who may change the members can sign that the word of a change's preparer is enough. */
  readonly unwitnessed: boolean;
  /** And they alone can. */
  readonly signed: boolean;
  /** It holds for no other member than the preparer. */
  readonly names: boolean;
  /** It holds for what the preparer made before, too. */
  readonly waiver: boolean;
  /** A member that signs that it holds another token holds up what is made in its place. */
  readonly veto: boolean;
  /** So does the maker of that. */
  readonly maker: boolean;
  /** Also where the token has a witness. */
  readonly always: boolean;
  /** Except whoever is about to leave, against what the preparer of that removal made. */
  readonly leaver: boolean;
  /** Of a member that is bound to another change, the token of that one is taken. */
  readonly takesAny: boolean;
  /** The domain-manager asks members for the next token if they hold a later one than the store. */
  readonly asks: boolean;
  /** A member gives each of the tokens that led to its own, and not its own alone. */
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
  /** How many tokens are made beside the change; default 2. */
  readonly rotations?: number;
  /** More than one rotation of a generation is made. */
  readonly twins?: boolean;
  /** A domain-manager may die before it stores what a member made. */
  readonly crash?: boolean;
  /** Somebody puts tokens into the store. */
  readonly writer?: boolean;
  /** Somebody takes the newest token out of the store. */
  readonly taker?: boolean;
  /** One honest member at a time may be. */
  readonly away?: boolean;
  /** For ever. */
  readonly lost?: readonly number[];
  /** Operators have signed this as well, which nobody has carried out. */
  readonly removal?: { readonly who: number; readonly by: number };
}

export interface Token {
  /** Index of the token that it follows; -1 for the first. */
  readonly parent: number;
  readonly maker: number;
  readonly good: boolean;
  /** Who leaves by it; -1 for nobody. */
  readonly removes: number;
  readonly isChange: boolean;
  /** Its change was signed so. */
  readonly unwitnessed: boolean;
  readonly witness: boolean;
}

export interface Member {
  /** Index of the installed token. */
  readonly installed: number;
  /** Index of the token that it made to follow it; -1 for none. */
  readonly prepared: number;
}

export interface State {
  /** Every token ever made. Index 0 is the founding token. */
  readonly tokens: readonly Token[];
  /** Index of the newest in the store, and of the newest that the domain-manager believes. */
  readonly stored: number;
  readonly believed: number;
  readonly members: readonly Member[];
  /** The hostile member says that it holds another, whatever it is asked. */
  readonly vetoes: boolean;
  readonly away: readonly number[];
  /** After which tokens operators have signed the change, once for each who could make it. */
  readonly signed: readonly number[];
  /** And so that his word is enough. */
  readonly waived: readonly number[];
}

export interface Play {
  readonly guards: Guards;
  readonly world: World;
}

export function initialState({ members, lost = [] }: World): State {
  return {
    tokens: [{ parent: -1, maker: -1, good: true, removes: -1, isChange: false, unwitnessed: false, witness: true }],
    stored: 0,
    believed: 0,
    members: Array.from({ length: members }, () => ({ installed: 0, prepared: -1 })),
    vetoes: false,
    away: lost,
    signed: [],
    waived: [],
  };
}

export function keyOf({ tokens, members, ...rest }: State): string {
  const made = tokens.map((one) => Object.values(one).map(Number).join()).join(' ');
  const hsms = members.map(({ installed, prepared }) => `${installed}.${prepared}`).join(' ');
  return `${made}/${hsms}/${Object.values(rest).join(' ')}`;
}

/** Those that are not lost. */
export function honestOf({ members, hostile, lost = [] }: World): number[] {
  return Array.from({ length: members }, (_, who) => who)
    .slice(hostile ? 1 : 0)
    .filter((who) => !lost.includes(who));
}

export function isHostile(who: number, { hostile }: World): boolean {
  return hostile === true && who === 0;
}

export function membersOf(index: number, { tokens, members }: State): number[] {
  return [...members.keys()].filter((who) => isIn(who, index, tokens));
}

export function isIn(who: number, index: number, tokens: readonly Token[]): boolean {
  return chainOf(tokens, index).every((one) => tokens[one]!.removes !== who);
}

/** Who can be a token's witness: members before and after it. */
export function witnessesOf(index: number, state: State): number[] {
  const { maker } = state.tokens[index]!;
  return membersOf(index, state).filter((who) => who !== maker);
}

/** `assertWitnessed`: whether everybody who verifies the token takes it. */
export function counts(index: number, state: State, { guards, world }: Play): boolean {
  const { parent, maker, unwitnessed, witness } = state.tokens[index]!;
  if (parent < 0 || witness || unwitnessed || !guards.witnessed) return true;
  if (membersOf(parent, state).every((who) => who === maker)) return true;
  if (world.key && !guards.signed) return true;
  return guards.waiver && state.waived.includes(parent) && (!guards.names || !isHostile(maker, world));
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
