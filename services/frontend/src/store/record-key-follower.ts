import { type DomainState, newestAfterRemoval } from '@keyfleet/shared/domain/state';
import { FormatError } from '@keyfleet/shared/encoding/bytes';
import { isMadeIn, madeIn } from './fleet-key.ts';
import { HsmUnavailableError } from '../hsm/commands.ts';
import { OpenedRecordKeys, type OpenedRecordKeysDeps } from './opened-record-keys.ts';
import { fingerprintOf, type RecordKeyRange, recordKeyName, type RecordKeyStore } from './record-key.ts';
import type { FollowedKeys } from './record-key-floor.ts';
import { DamagedRecordError } from './store.ts';
import {
  isFromBefore,
  isFromElsewhen,
  isLost,
  isMissing,
  isPlanted,
  isPlantedAsOldest,
  isReplaced,
} from './record-key-problems.ts';

/** Nobody replaces the record key more often between two looks; whoever left may have put thousands there. */
const AT_ONCE = 16;
/** One a month for eight years. */
const MOST_MADE = 100;

export interface RecordKeyFollowerDeps extends OpenedRecordKeysDeps {
  readonly secrets: RecordKeyStore;
}

export interface Seen extends RecordKeyRange {
  /**
   * The generation in which the newest key was made, as far as it was ever known: domain keys are dropped. 0 if it is
   * known to be of the first releases, which did not say.
   */
  readonly madeIn: number | undefined;
  /** Whether the store says that the oldest is the oldest. */
  readonly isNoted?: boolean;
  /**
   * Why what stands under the next number, or under this one at a start, cannot be used. It may be the record key that
   * all others write under by now, so nothing may be written until it is solved; what is under the others can be read.
   */
  readonly problem?: Error | undefined;
}

/** While nobody has needed the first one. */
export const NONE: Seen = { oldest: 1, newest: 0, madeIn: undefined };

/**
 * Goes from record key to record key in one store, which whoever writes Redis may fill with others. It follows a next
 * one only if it was made no earlier than the one before and opens. The header of a token is plain, and Redis may show
 * one token and then another: so each is read once, and what is judged is what is opened.
 */
export class RecordKeyFollower {
  readonly #deps: RecordKeyFollowerDeps;
  /** Of the keys that it followed, those that were needed. */
  readonly keys: OpenedRecordKeys;

  constructor(deps: RecordKeyFollowerDeps) {
    this.#deps = deps;
    this.keys = new OpenedRecordKeys(deps);
  }

  /** From what was seen before, here or in an earlier run. Without a problem the newest, if there is one, is open. */
  async follow(before: Seen | undefined): Promise<Seen> {
    const noted = await this.#deps.secrets.findOldestRecordKey();
    const stored = noted ?? 1;
    let seen = before === undefined || before === NONE ? await this.#start(noted) : before;
    if (seen === NONE) return NONE;
    if (seen.newest >= stored) seen = await this.#withNewest(seen);
    seen = await this.#followed(seen);
    const oldest = Math.max(stored, seen.oldest);
    if (oldest > seen.newest && seen.problem !== undefined) throw seen.problem;
    if (oldest > seen.newest) seen = await this.#followed(await this.#leapTo(oldest, seen));
    this.keys.forgetBefore(oldest);
    return { ...seen, oldest, isNoted: noted === oldest };
  }

  /**
   * Makes the next key, from then on the newest for everyone who looks. It comes after the newest that was seen, which
   * the caller may have judged: no other is followed here.
   */
  async makeNext({ oldest, newest, madeIn: madeBefore = 0 }: Seen): Promise<Seen> {
    const number = newest + 1;
    if ((await this.#find(number)) !== undefined) throw isPlanted(number);
    const earliest = Math.max(1, madeBefore, this.#lastRemoval());
    const made = await this.keys.make(number, (token, isNew) => {
      if (this.#madeIn(number, token) < earliest) throw isNew ? isFromElsewhen(number) : isPlanted(number);
    });
    return this.#seenFrom(oldest, number, made);
  }

  /**
   * If nobody else has made it meanwhile. Where there is a later one, the first was dropped, and what said so was taken
   * away.
   */
  async makeFirst(): Promise<Seen> {
    for (let number = 2; number < MOST_MADE; number++) {
      if ((await this.#findAny(number)) !== undefined) throw isMissing(1);
    }
    return this.#seenFrom(1, 1, await this.keys.make(1));
  }

  /** What to write down: nobody who left the domain can have had it made. Undefined unless this is so of the newest. */
  proven(seen: Seen): FollowedKeys | undefined {
    const { oldest, newest, madeIn: generation } = seen;
    if (generation === undefined || !this.#isProven(seen)) return undefined;
    const earliest = Math.max(1, this.#lastRemoval());
    const isProven = (number: number, token: Uint8Array): boolean =>
      number === newest || (number >= oldest && number < newest && this.#madeIn(number, token) >= earliest);
    const written = Object.entries(this.keys.written).filter(([number]) => Number(number) >= oldest);
    const opened = this.keys.all
      .filter(([number, { token }]) => isProven(number, token))
      .map(([number, { key }]) => [number, fingerprintOf(key)]);
    return { oldest, newest, madeIn: generation, fingerprints: Object.fromEntries([...written, ...opened]) };
  }

  #isProven({ madeIn: generation = 0 }: Seen): boolean {
    return generation >= Math.max(1, this.#lastRemoval());
  }

  async #start(noted: number | undefined): Promise<Seen> {
    const { lowest } = this.#deps.floor;
    const stored = noted ?? 1;
    if (lowest !== undefined) return { oldest: lowest.oldest, newest: lowest.newest, madeIn: lowest.madeIn };
    if ((await this.#find(stored)) !== undefined) return { oldest: stored, newest: stored, madeIn: undefined };
    if (noted !== undefined) throw isMissing(stored);
    return NONE;
  }

  /**
   * Under its number there may be another by now, which somebody made before he left; or none, because he took away
   * what he had put there, and what is written under it would be lost with this frontend.
   */
  async #withNewest(seen: Seen): Promise<Seen> {
    const { oldest, newest, madeIn: generation } = seen;
    const isOpen = this.keys.isOpen(newest);
    const token = await this.#findAny(newest);
    try {
      if (token instanceof DamagedRecordError) throw token;
      if (token === undefined) throw isLost(newest);
      const isOurs = isOpen ? this.keys.goesOnWith(newest, token) : this.#openAsSeen(seen, token);
      // What an operator says of a key is exact.
      const wasUsed = isOpen || this.keys.written[newest] !== undefined;
      if (!(await isOurs) && !(wasUsed && (await this.#isSuperseded(seen, token)))) throw isReplaced(newest);
    } catch (cause) {
      const isUntold = isOpen && cause instanceof HsmUnavailableError;
      if (isUntold) return { ...seen, problem: undefined };
      if (generation === undefined || isOpen) return withProblem(seen, cause);
      throw cause;
    }
    const found = this.#seenFrom(oldest, newest, token);
    return { ...found, madeIn: found.madeIn ?? generation };
  }

  #openAsSeen({ newest, madeIn: generation }: Seen, token: Uint8Array): Promise<boolean> {
    const { name } = recordKeyName(newest);
    const isOurs = () => generation === undefined || isMadeIn(this.#state(), { name, token, generation });
    return this.keys.open(newest, token, isOurs);
  }

  /**
   * Whoever left may have had the one made that was followed, and shown it for a moment. Operators, who never saw it,
   * have made one of the same number since: that one he cannot have.
   */
  async #isSuperseded({ newest, madeIn: generation = 0 }: Seen, token: Uint8Array): Promise<boolean> {
    const lastRemoval = this.#lastRemoval();
    if (generation >= lastRemoval) return false;
    return this.keys.replace(newest, token, () => this.#madeIn(newest, token) >= lastRemoval);
  }

  /**
   * With the keys that follow. Former frontends may keep keys for future numbers and put them into the store: those are
   * older than the newest, or than the last removal. When one was made whose domain key was dropped, nobody knows.
   */
  async #followed(seen: Seen): Promise<Seen> {
    const { oldest, newest, madeIn: madeBefore = 0 } = seen;
    const number = newest + 1;
    const token = await this.#findAny(number);
    if (token === undefined) return seen;
    if (token instanceof DamagedRecordError) return withProblem(seen, token);
    const isOurs = () => this.#madeIn(number, token) >= Math.max(1, madeBefore);
    try {
      if (!(await this.keys.open(number, token, isOurs))) return seen;
    } catch (cause) {
      return withProblem(seen, cause);
    }
    const next = this.#seenFrom(oldest, number, token);
    const further = this.#isProven(next) || (await this.#mayBeProven(number + 1)) ? await this.#followed(next) : next;
    if (this.#isProven(next) || this.#isProven(further)) return further;
    this.keys.forgetAfter(newest);
    return withProblem(seen, isFromBefore(number));
  }

  /**
   * Whether one of the next says that it was made after the last removal. To open each takes two HSMs, at every look,
   * and readers wait for it.
   */
  async #mayBeProven(from: number): Promise<boolean> {
    for (let number = from; number < from + AT_ONCE; number++) {
      const token = await this.#findAny(number);
      if (token === undefined) return false;
      if (!(token instanceof DamagedRecordError) && this.#saysProven(number, token)) return true;
    }
    return false;
  }

  #saysProven(number: number, token: Uint8Array): boolean {
    try {
      return this.#isProven({ ...NONE, madeIn: this.#madeIn(number, token) });
    } catch (error) {
      if (error instanceof FormatError) return false;
      throw error;
    }
  }

  /**
   * Who was away during two rotations finds none of the keys that it knows. It believes in one that nobody who left can
   * have, and in no other.
   */
  async #leapTo(oldest: number, { newest, madeIn: madeBefore = 0 }: Seen): Promise<Seen> {
    const token = await this.#find(oldest);
    if (token === undefined) throw isPlantedAsOldest(oldest, newest);
    const isOurs = () => this.#madeIn(oldest, token) >= Math.max(1, madeBefore, this.#lastRemoval());
    if (!(await this.keys.open(oldest, token, isOurs))) throw isPlantedAsOldest(oldest, newest);
    return this.#seenFrom(oldest, oldest, token);
  }

  #find(number: number): Promise<Uint8Array | undefined> {
    return this.#deps.secrets.findSecret(recordKeyName(number).name);
  }

  /** What else than a token somebody put there does not keep the others from being read. */
  async #findAny(number: number): Promise<Uint8Array | DamagedRecordError | undefined> {
    try {
      return await this.#find(number);
    } catch (error) {
      if (error instanceof DamagedRecordError) return error;
      throw error;
    }
  }

  #seenFrom(oldest: number, newest: number, token: Uint8Array): Seen {
    return { oldest, newest, madeIn: this.#madeIn(newest, token) || undefined };
  }

  /** 0 if nobody knows. */
  #madeIn(number: number, token: Uint8Array): number {
    return madeIn(this.#state(), recordKeyName(number).name, token);
  }

  /** The generation of the last removal of a member or frontend; 0 if there was none. */
  #lastRemoval(): number {
    return newestAfterRemoval(this.#state())?.createdGeneration ?? 0;
  }

  #state(): DomainState {
    const { state } = this.#deps.domain;
    if (state === undefined) throw new HsmUnavailableError('timed-out');
    return state;
  }
}

function withProblem(seen: Seen, cause: unknown): Seen {
  if (!(cause instanceof Error)) throw cause;
  return { ...seen, problem: cause };
}
