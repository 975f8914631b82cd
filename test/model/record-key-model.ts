/**
 * Which record key a frontend uses, as a pure model, while somebody who left the domain writes Redis. Before he left he
 * had record keys of every number made; now he puts them into Redis at any time, in any place, and names the oldest
 * one. Operators rotate and drop domain keys, and replace the record key; the frontend restarts. A record key is told
 * by the generation of the domain key under which it was made, below zero if he made it. docs/domain.md tells the same
 * in words.
 */
export interface Guards {
  /** A frontend follows a next record key only if it was made no earlier than the one before. */
  readonly age: boolean;
  /** It remembers when the newest was made, and follows none of which nobody knows that any more. */
  readonly known: boolean;
  /** It writes down which record keys it followed, and goes on from them after a restart. */
  readonly floor: boolean;
  /** Then the newest must be the very same key still, by its fingerprint. */
  readonly same: boolean;
  /**
   * It follows a next one from before he left only on the way to one from after, and takes one from after in the place
   * of one from before.
   */
  readonly since: boolean;
  /** Resealing carries none of his along: each ends with the domain key under which he had it made. */
  readonly ends: boolean;
}

const GENERATIONS = 3;
const NUMBERS = 3;

interface Followed {
  readonly oldest: number;
  readonly newest: number;
  readonly madeIn: number;
}

export interface State {
  /** The newest domain key. */
  readonly generation: number;
  /** The generation in which he left; 0 before. */
  readonly left: number;
  /** The oldest domain key that was not dropped. */
  readonly kept: number;
  /** What Redis holds, by number - 1: the generation of a record key, negative if he put it there; 0: nothing. */
  readonly stored: readonly number[];
  /** What Redis names as the oldest. */
  readonly oldest: number;
  /** The number of the newest that operators made. */
  readonly newest: number;
  readonly memory: (Followed & { readonly key: number }) | undefined;
  readonly disk: (Followed & { readonly key: number }) | undefined;
  /** The frontend has followed a record key that he cannot have. */
  readonly safe: boolean;
}

export type Step = readonly [name: string, next: State];

export const initialState: State = {
  generation: 1,
  left: 0,
  kept: 1,
  stored: [1, ...Array.from({ length: NUMBERS - 1 }, () => 0)],
  oldest: 1,
  newest: 1,
  memory: undefined,
  disk: undefined,
  safe: false,
};

export function keyOf(state: State): string {
  return JSON.stringify(state);
}

/** Once the frontend has followed a record key that he cannot have, it uses none that he made. */
export function usesNoneOfHis({ safe, memory }: State): boolean {
  return !safe || memory === undefined || memory.key > 0;
}

/**
 * Once Redis holds nothing of his, a frontend that looks comes to the record key that operators have made since he
 * left, while its domain key tells when; unless he led it beyond its number, where it stays and writes nothing
 * (docs/recovery.md).
 */
export function findsTheirs(state: State, guards: Guards): boolean {
  const { left, stored, newest, oldest } = state;
  const theirs = stored[newest - 1]!;
  const isWhole = oldest <= newest && stored.slice(oldest - 1, newest).every((key) => key > 0);
  const isBeyond = ((state.memory ?? state.disk)?.newest ?? 0) > newest;
  if (left === 0 || theirs < Math.max(left, state.kept) || !isWhole || isBeyond || stored.some((key) => key < 0))
    return true;
  const [found] = look(state, guards);
  return found === undefined || found[1].memory?.key === theirs;
}

export function stepsOf(state: State, guards: Guards): Step[] {
  return [
    ...operatorSteps(state),
    ...hisSteps(state),
    ['restart', { ...state, memory: undefined }],
    ...look(state, guards),
  ];
}

function operatorSteps(state: State): Step[] {
  const { generation, left, stored, newest } = state;
  const steps: Step[] = [];
  if (generation < GENERATIONS) {
    steps.push(['rotate', { ...state, generation: generation + 1 }]);
    if (left === 0) steps.push(['he leaves', { ...state, generation: generation + 1, left: generation + 1 }]);
  }
  if (newest < NUMBERS && stored[newest] === 0)
    steps.push(['make next', { ...state, stored: stored.with(newest, generation), newest: newest + 1 }]);
  const others = stored.map((key, i) => (i + 1 < newest ? 0 : key));
  steps.push(['drop older record keys', { ...state, stored: others, oldest: newest }]);
  const isFinished = stored.slice(0, newest - 1).every((key) => key === 0);
  if (isFinished) steps.push(['drop domain keys', { ...state, kept: generation }]);
  return steps;
}

function hisSteps(state: State): Step[] {
  const { left, stored } = state;
  if (left === 0) return [];
  const numbers = stored.map((_, i) => i + 1);
  return numbers.flatMap((number): Step[] => [
    [`he names ${number}`, { ...state, oldest: number }],
    ...(stored[number - 1]! < 0 ? [[`he takes ${number} away`, withoutHis(state, number)] as const] : []),
    ...Array.from({ length: left - 1 }, (_, i): Step => [
      `he plants ${number} of ${i + 1}`,
      { ...state, stored: stored.with(number - 1, -(i + 1)) },
    ]),
  ]);
}

function withoutHis(state: State, number: number): State {
  return { ...state, stored: state.stored.with(number - 1, 0) };
}

/** As `FleetRecordKeys` looks; no step if it refuses. */
function look(state: State, guards: Guards): Step[] {
  const { left, oldest: named, memory, disk } = state;
  const known = memory ?? (guards.floor ? disk : undefined);
  const isSuperseded =
    known !== undefined && guards.since && known.madeIn < left && madeIn(state, known.newest) >= left;
  if (
    memory === undefined &&
    known !== undefined &&
    guards.same &&
    !isSuperseded &&
    known.newest >= named &&
    state.stored[known.newest - 1] !== disk?.key
  )
    return [];
  let seen: Followed = known ?? { oldest: named, newest: named, madeIn: 0 };
  if (seen.madeIn === 0 || isSuperseded) seen = { ...seen, madeIn: madeIn(state, seen.newest) };
  seen = followed(state, seen, guards);
  const oldest = Math.max(named, seen.oldest);
  if (oldest > seen.newest) {
    const made = madeIn(state, oldest);
    const isTrusted = made > 0 && made >= seen.madeIn && made >= left;
    if (guards.age && !isTrusted) return [];
    seen = followed(state, { oldest, newest: oldest, madeIn: made }, guards);
  }
  const key = memory?.newest === seen.newest && !isSuperseded ? memory.key : (state.stored[seen.newest - 1] ?? 0);
  const hasEnded = guards.ends && key < 0 && -key < state.kept && key !== memory?.key;
  if (key === 0 || hasEnded) return [];
  const next = { oldest, newest: seen.newest, madeIn: seen.madeIn };
  const isKept = next.madeIn > 0 && next.madeIn >= left;
  const safe = state.safe || (left > 0 && key >= left);
  return [['look', { ...state, memory: { ...next, key }, disk: isKept ? { ...next, key } : disk, safe }]];
}

function followed(state: State, seen: Followed, guards: Guards): Followed {
  const newest = seen.newest + 1;
  const isThere = (state.stored[newest - 1] ?? 0) !== 0;
  const made = madeIn(state, newest);
  const before = guards.known ? seen.madeIn : madeIn(state, seen.newest);
  const isOlder = guards.age && (made < before || (guards.known && made === 0));
  if (!isThere || isOlder) return seen;
  const further = followed(state, { ...seen, newest, madeIn: made }, guards);
  return guards.since && made < state.left && further.madeIn < state.left ? seen : further;
}

/** 0 if nobody knows. */
function madeIn({ stored, kept }: State, number: number): number {
  const generation = Math.abs(stored[number - 1] ?? 0);
  return generation >= kept ? generation : 0;
}
