import type { KeyObject } from 'node:crypto';
import { type Clock, monotonicClock as ofThisProcess } from '@keyfleet/shared/clock';
import { SingleFlight } from '@keyfleet/shared/single-flight';
import type { MadeRecordKey } from './record-key.ts';
import { noRecordKeyFloor, type RecordKeyFloor } from './record-key-floor.ts';
import { NONE, RecordKeyFollower, type RecordKeyFollowerDeps, type Seen } from './record-key-follower.ts';

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

export interface FleetRecordKeysDeps extends Omit<RecordKeyFollowerDeps, 'floor'> {
  /** For measuring durations. */
  readonly monotonicClock?: Clock;
  /** Default: it starts anew. */
  readonly floor?: RecordKeyFloor;
  /** Called when those older than this one are used no more. */
  readonly onDropped?: (oldest: number) => void;
}

/**
 * Record keys are numbered from 1; each is a secret of the fleet, and whoever needs the first one makes it. A frontend
 * checks at intervals for a newer key and for dropped ones. It never goes back on what it saw, not even after a restart
 * (`RecordKeyFloor`): a dropped key that is put back into the store is not used.
 */
export class FleetRecordKeys implements RecordKeys {
  readonly #deps: RecordKeyFollowerDeps;
  readonly #now: Clock;
  readonly #onDropped: (oldest: number) => void;
  readonly #looking = new SingleFlight<Seen>();
  #follower: RecordKeyFollower;
  #seen: Seen | undefined;
  #lookedAt = -Infinity;
  /** An acceptance of which the floor has not heard. */
  #accepted: readonly string[] | undefined;

  constructor({ floor = noRecordKeyFloor, monotonicClock, onDropped = () => {}, ...deps }: FleetRecordKeysDeps) {
    this.#deps = { ...deps, floor };
    this.#onDropped = onDropped;
    this.#now = monotonicClock ?? ofThisProcess;
    this.#follower = new RecordKeyFollower(this.#deps);
  }

  newest(): RecordKey | Promise<RecordKey> {
    const seen = this.#recent();
    const isKnown = seen !== undefined && seen !== NONE && seen.problem === undefined;
    return isKnown ? this.#load(seen.newest) : this.#lookForNewest();
  }

  async find(number: number): Promise<KeyObject | undefined> {
    const { oldest, newest } = await this.#upTo(number, this.#recent() ?? (await this.#lookOnce()));
    if (number < oldest || number > newest) return undefined;
    return this.#follower.keys.load(number);
  }

  /** The range of keys that exist now, of which the newest was opened here. Throws if it does not open. */
  async look(): Promise<Seen> {
    const seen = await this.#lookOnce();
    if (seen.problem !== undefined) throw seen.problem;
    return seen;
  }

  /**
   * Whether this token, which was read under the number, holds the record key that is used here: not one that was
   * dropped, or that somebody put there. Throws DamagedRecordError if no HSM can tell.
   */
  async uses(number: number, token: Uint8Array): Promise<boolean> {
    const { oldest, newest } = await this.#upTo(number, await this.#lookOnce());
    if (number < oldest || number > newest) return false;
    return this.#follower.keys.isIn(number, token);
  }

  /** Makes the next key, from then on the newest for everyone who looks. */
  async makeNext(): Promise<MadeRecordKey> {
    const { newest, madeIn = 0 } = (this.#seen = await this.#follower.makeNext(this.#seen ?? (await this.look())));
    return { number: newest, madeIn };
  }

  /** Operators have confirmed that another or an older store is to be used, as the successor of these. */
  forget(follows: readonly string[]): void {
    this.#follower = new RecordKeyFollower(this.#deps);
    this.#seen = undefined;
    this.#lookedAt = -Infinity;
    this.#accepted = [...follows];
  }

  /** A key made since the last look is used from now on. What does not open may be one. */
  async #upTo(number: number, seen: Seen): Promise<Seen> {
    const mayBeNew = number === seen.newest + 1 || (number > seen.newest && seen.problem !== undefined);
    return mayBeNew ? this.look() : seen;
  }

  #lookOnce(): Promise<Seen> {
    return this.#looking.run(() => this.#look());
  }

  #recent(): Seen | undefined {
    return this.#now.now() - this.#lookedAt < LOOK_AGAIN_MS ? this.#seen : undefined;
  }

  /** What is seen, or wrong, while another store is accepted may be of the one before: then it looks again. */
  async #look(): Promise<Seen> {
    const [follower, accepted] = [this.#follower, this.#accepted];
    const isOfThisStore = (): boolean => this.#follower === follower;
    const { floor } = this.#deps;
    try {
      if (accepted !== undefined) await floor.forget(accepted);
      const at = this.#now.now();
      const seen = await follower.follow(this.#seen);
      const proven = follower.proven(seen);
      if (proven !== undefined && isOfThisStore()) await floor.raise(proven);
      if (isOfThisStore()) {
        this.#accepted = undefined;
        this.#lookedAt = at;
        if (this.#seen !== undefined && this.#seen.oldest < seen.oldest) this.#onDropped(seen.oldest);
        return (this.#seen = seen);
      }
    } catch (error) {
      if (isOfThisStore()) throw error;
    }
    return this.#look();
  }

  /** Only the very first is made by whoever needs it: in the place of any other, a new one would never be right. */
  async #lookForNewest(): Promise<RecordKey> {
    const follower = this.#follower;
    let seen = await this.look();
    if (seen === NONE) {
      const made = await follower.makeFirst();
      if (this.#follower === follower && this.#seen === NONE) this.#seen = made;
      seen = await this.look();
    }
    if (seen.isNoted !== true) await this.#deps.secrets.noteOldestRecordKey(seen.oldest);
    return this.#load(seen.newest);
  }

  #load(number: number): RecordKey | Promise<RecordKey> {
    const key = this.#follower.keys.load(number);
    return key instanceof Promise ? key.then((opened) => ({ number, key: opened })) : { number, key };
  }
}
