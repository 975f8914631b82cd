import type { KeyObject } from 'node:crypto';
import { type Clock, monotonicClock as ofThisProcess } from '@keyfleet/shared/clock';
import { type DomainState, newestAfterRemoval } from '@keyfleet/shared/domain/state';
import { FormatError } from '@keyfleet/shared/encoding/bytes';
import { SingleFlight } from '@keyfleet/shared/single-flight';
import { FleetKey, type FleetKeyName, madeIn } from './fleet-key.ts';
import { type HsmCommands, HsmRefusedError, HsmUnavailableError } from '../hsm/commands.ts';
import { type FollowedKeys, noRecordKeyFloor, type RecordKeyFloor } from './record-key-floor.ts';
import {
  doesNotOpen,
  isFromBefore,
  isLost,
  isMissing,
  isPlanted,
  isPlantedAsOldest,
  isReplaced,
} from './record-key-problems.ts';
import type { FleetSecretStore } from './store.ts';

const COMMAND_TIMEOUT_MS = 5_000;
/** The longest time for which a record is still written under a key that is no longer the newest. */
export const LOOK_AGAIN_MS = 2_000;

export interface RecordKey {
  readonly number: number;
  /** 32 bytes. */
  readonly key: KeyObject;
}

/** The keys that authenticate records. All frontends have them, and nobody else. */
export interface RecordKeys {
  /** The key for new MACs. A promise unless it was looked up recently. */
  newest(): RecordKey | Promise<RecordKey>;
  /** Undefined if there is no key with this number, or no longer. */
  find(number: number): KeyObject | undefined | Promise<KeyObject | undefined>;
}

/** Stores record keys. */
export interface RecordKeyStore extends FleetSecretStore {
  /** The oldest key number that records may be under; undefined before any key was dropped. */
  findOldestRecordKey(): Promise<number | undefined>;
}

export interface FleetRecordKeysDeps {
  readonly secrets: RecordKeyStore;
  readonly hsm: HsmCommands;
  /** The domain as known here; without it nothing is opened. */
  readonly domain: { readonly state: DomainState | undefined };
  readonly clock: Clock;
  /** For measuring durations. */
  readonly monotonicClock?: Clock;
  /** Default: it starts anew. */
  readonly floor?: RecordKeyFloor;
}

/** The numbers of the existing record keys, from oldest to newest. */
export interface RecordKeyRange {
  readonly oldest: number;
  readonly newest: number;
}

export function recordKeyName(number: number): FleetKeyName {
  return { name: `record-key-${number}`, info: 'keyfleet/record-key/1' };
}

/** Undefined for a secret that is no record key. */
export function recordKeyNumberOf(secret: string): number | undefined {
  const number = /^record-key-([1-9]\d{0,8})$/.exec(secret)?.[1];
  return number === undefined ? undefined : Number(number);
}

export interface MadeRecordKey {
  readonly number: number;
  /** The generation of the domain key under which it was made. */
  readonly madeIn: number;
}

interface Seen extends RecordKeyRange {
  /** The generation in which the newest key was made, as far as it was ever known: domain keys are dropped. */
  readonly madeIn: number;
  /** The same of older keys that were the newest here, by number. */
  readonly earlier: ReadonlyMap<number, number>;
}

/**
 * Record keys are numbered from 1; each is a secret of the fleet, and whoever needs the first one makes it. A frontend
 * checks at intervals for a newer key and for dropped ones. It never goes back on what it saw, not even after a restart
 * (`RecordKeyFloor`): a dropped key that is put back into the store is not used.
 */
export class FleetRecordKeys implements RecordKeys {
  readonly #deps: FleetRecordKeysDeps;
  readonly #now: Clock;
  readonly #looking = new SingleFlight<Seen>();
  #opened = new Map<number, FleetKey>();
  #seen: Seen | undefined;
  #lookedAt = -Infinity;
  readonly #floor: RecordKeyFloor;
  /** An acceptance of which the floor has not heard. */
  #accepted: readonly string[] | undefined;

  constructor(deps: FleetRecordKeysDeps) {
    this.#deps = deps;
    this.#floor = deps.floor ?? noRecordKeyFloor;
    this.#now = deps.monotonicClock ?? ofThisProcess;
  }

  newest(): RecordKey | Promise<RecordKey> {
    const range = this.#range();
    if (range instanceof Promise) return range.then(({ newest }) => this.#load(newest));
    return this.#load(range.newest);
  }

  async find(number: number): Promise<KeyObject | undefined> {
    const range = await this.#range();
    // A key made since the last look is used from now on.
    const { oldest, newest } = number === range.newest + 1 ? await this.look() : range;
    return number < oldest || number > newest ? undefined : (await this.#load(number)).key;
  }

  /** The range of keys that exist now, of which the newest was opened here. */
  look(): Promise<Seen> {
    return this.#looking.run(() => this.#look());
  }

  /** As the store shows it: no key is opened. */
  shown(): Promise<RecordKeyRange> {
    return this.#seenNow();
  }

  /**
   * Whether this token, which was read under the number, holds the record key that is used here: not one that was
   * dropped, or that somebody put there. Throws DamagedRecordError if no HSM can tell.
   */
  async uses(number: number, token: Uint8Array): Promise<boolean> {
    const { oldest, newest } = await this.look();
    if (number < oldest || number > newest) return false;
    try {
      return await this.#keyOf(number).isIn(token, this.#deadline());
    } catch (cause) {
      if (!isRefusal(cause)) throw cause;
      throw doesNotOpen(number, cause);
    }
  }

  /**
   * Makes the next key, from then on the newest for everyone who looks. It comes after the newest that was seen, which
   * the caller may have judged: no other is followed here.
   */
  async makeNext(): Promise<MadeRecordKey> {
    const seen = this.#seen ?? (await this.look());
    const number = seen.newest + 1;
    if (await this.#isStored(number)) throw isPlanted(number);
    await this.#open(number);
    const generation = await this.#madeIn(number);
    this.#seen = withNext(seen, generation);
    return { number, madeIn: generation };
  }

  /** Operators have confirmed that another or an older store is to be used, as the successor of these. */
  forget(follows: readonly string[]): void {
    this.#opened = new Map();
    this.#seen = undefined;
    this.#lookedAt = -Infinity;
    this.#accepted = [...follows];
  }

  #range(): RecordKeyRange | Promise<RecordKeyRange> {
    const isFresh = this.#now.now() - this.#lookedAt < LOOK_AGAIN_MS;
    return isFresh && this.#seen !== undefined ? this.#seen : this.look();
  }

  /** What is seen, or wrong, while another store is accepted may be of the one before: then it looks again. */
  async #look(): Promise<Seen> {
    const accepted = this.#accepted;
    const isOfThisStore = (): boolean => this.#accepted === accepted;
    try {
      if (accepted !== undefined) await this.#floor.forget(accepted);
      const at = this.#now.now();
      const seen = await this.#seenNow();
      if (isOfThisStore() && seen.newest !== this.#seen?.newest) await this.#assertOpens(seen);
      const isProven = seen.madeIn > 0 && seen.madeIn >= this.#lastRemoval();
      if (isProven && isOfThisStore()) await this.#floor.raise(seen);
      if (isOfThisStore()) {
        this.#accepted = undefined;
        this.#lookedAt = at;
        return (this.#seen = seen);
      }
    } catch (error) {
      if (isOfThisStore()) throw error;
    }
    return this.#look();
  }

  /** The header of a token is plain: anybody can write one, with the id of the active domain key. */
  async #assertOpens({ newest, madeIn: seenMadeIn }: Seen): Promise<void> {
    const key = this.#keyOf(newest);
    const { name } = recordKeyName(newest);
    const generation = this.#asFarAsKnown(seenMadeIn);
    if (generation === 0 || key.token !== undefined) return;
    const token = await this.#deps.secrets.findSecret(name);
    if (token === undefined || madeIn(this.#state(), name, token) !== generation) throw doesNotOpen(newest);
    try {
      await key.open(token, this.#deadline());
    } catch (cause) {
      if (!isRefusal(cause)) throw cause;
      throw doesNotOpen(newest, cause);
    }
  }

  async #seenNow(): Promise<Seen> {
    const stored = (await this.#deps.secrets.findOldestRecordKey()) ?? 1;
    let seen = this.#seen ?? (await this.#start(stored));
    if (seen.madeIn === 0) seen = { ...seen, madeIn: await this.#madeIn(seen.newest) };
    seen = await this.#followed(seen);
    const oldest = Math.max(stored, seen.oldest);
    if (oldest > seen.newest) seen = await this.#followed(await this.#leapTo(oldest, seen));
    for (const number of this.#opened.keys()) if (number < oldest) this.#opened.delete(number);
    return { ...seen, oldest };
  }

  async #start(oldest: number): Promise<Seen> {
    const { lowest } = this.#floor;
    if (lowest !== undefined) {
      if (lowest.newest >= oldest) await this.#assertStillThere(lowest);
      return { oldest: lowest.oldest, newest: lowest.newest, madeIn: lowest.madeIn, earlier: new Map() };
    }
    if (oldest > 1 && !(await this.#isStored(oldest))) throw isMissing(oldest);
    return { oldest, newest: oldest, madeIn: 0, earlier: new Map() };
  }

  /** Under the same number there may be another by now, which somebody made before he left. */
  async #assertStillThere({ newest, madeIn }: FollowedKeys): Promise<void> {
    if (!(await this.#isStored(newest))) throw isLost(newest);
    if ((await this.#madeIn(newest)) !== this.#asFarAsKnown(madeIn)) throw isReplaced(newest);
  }

  /** 0 once its domain key was dropped. */
  #asFarAsKnown(madeIn: number): number {
    return this.#state().domainKeys.some(({ createdGeneration }) => createdGeneration === madeIn) ? madeIn : 0;
  }

  /** What is opened is what was seen: whoever writes Redis may show one token and then another. */
  #assertOurs(number: number, token: Uint8Array, isNew: boolean): void {
    if (this.#seen === undefined) return;
    const { newest, earlier } = this.#seen;
    const seenMadeIn = number === newest ? this.#seen.madeIn : (earlier.get(number) ?? 0);
    const generation = madeIn(this.#state(), recordKeyName(number).name, token);
    if (number > newest && generation < this.#lastRemoval()) throw isNew ? isFromBefore(number) : isPlanted(number);
    const isOther = seenMadeIn > 0 && generation !== this.#asFarAsKnown(seenMadeIn);
    if (isOther) throw isReplaced(number);
  }

  /**
   * With the keys that follow. Former frontends may keep keys for future numbers and put them into the store: those are
   * older than the newest. When one was made whose domain key was dropped, nobody knows.
   */
  async #followed(seen: Seen): Promise<Seen> {
    const madeIn = await this.#madeIn(seen.newest + 1);
    return madeIn === 0 || madeIn < seen.madeIn ? seen : this.#followed(withNext(seen, madeIn));
  }

  /**
   * Who was away during two rotations finds none of the keys that it knows. It believes in one that nobody who left can
   * have, and in no other.
   */
  async #leapTo(oldest: number, { newest, madeIn: seenMadeIn }: Seen): Promise<Seen> {
    const madeIn = await this.#madeIn(oldest);
    const isOurs = madeIn > 0 && madeIn >= seenMadeIn && madeIn >= this.#lastRemoval();
    if (!isOurs) throw isPlantedAsOldest(oldest, newest);
    return { oldest, newest: oldest, madeIn, earlier: new Map() };
  }

  /** The generation of the last removal of a member or frontend; 0 if there was none. */
  #lastRemoval(): number {
    return newestAfterRemoval(this.#state())?.createdGeneration ?? 0;
  }

  /**
   * As the token tells that was opened here: whoever writes Redis may show another by now. 0 if it is not stored, or
   * nobody knows.
   */
  async #madeIn(number: number): Promise<number> {
    const { name } = recordKeyName(number);
    const token = this.#opened.get(number)?.token ?? (await this.#deps.secrets.findSecret(name));
    return token === undefined ? 0 : madeIn(this.#state(), name, token);
  }

  #state(): DomainState {
    const { state } = this.#deps.domain;
    if (state === undefined) throw new HsmUnavailableError('timed-out');
    return state;
  }

  async #isStored(number: number): Promise<boolean> {
    return (await this.#deps.secrets.findSecret(recordKeyName(number).name)) !== undefined;
  }

  #load(number: number): RecordKey | Promise<RecordKey> {
    const key = this.#open(number);
    return key instanceof Promise ? key.then((opened) => ({ number, key: opened })) : { number, key };
  }

  /** Concurrent callers wait for the same command. */
  #open(number: number): KeyObject | Promise<KeyObject> {
    return this.#keyOf(number).load(this.#deadline());
  }

  #keyOf(number: number): FleetKey {
    const key =
      this.#opened.get(number) ??
      new FleetKey(recordKeyName(number), {
        ...this.#deps,
        assertOurs: (token, isNew) => this.#assertOurs(number, token, isNew),
      });
    this.#opened.set(number, key);
    return key;
  }

  #deadline(): number {
    return this.#deps.clock.now() + COMMAND_TIMEOUT_MS;
  }
}

function withNext({ oldest, newest, madeIn, earlier }: Seen, madeInNext: number): Seen {
  return { oldest, newest: newest + 1, madeIn: madeInNext, earlier: new Map([...earlier, [newest, madeIn]]) };
}

function isRefusal(cause: unknown): boolean {
  return cause instanceof HsmRefusedError || cause instanceof FormatError;
}
