import type { KeyObject } from 'node:crypto';
import { type Clock, monotonicClock as ofThisProcess } from '@keyfleet/shared/clock';
import { type DomainState, newestAfterRemoval } from '@keyfleet/shared/domain/state';
import { SingleFlight } from '@keyfleet/shared/single-flight';
import { FleetKey, type FleetKeyName, madeIn } from './fleet-key.ts';
import { type HsmCommands, HsmUnavailableError } from '../hsm/commands.ts';
import { DamagedRecordError, type FleetSecretStore } from './store.ts';

const COMMAND_TIMEOUT_MS = 5_000;
/** For so long at most a record is still written under a key that is not the newest any more. */
export const LOOK_AGAIN_MS = 2_000;

export interface RecordKey {
  readonly number: number;
  /** 32 bytes. */
  readonly key: KeyObject;
}

/** The keys that records are authenticated with: all frontends have them, and nobody else. */
export interface RecordKeys {
  /** Which new MACs are made with. Not a promise when it was looked for lately. */
  newest(): RecordKey | Promise<RecordKey>;
  /** Undefined when there is none of this number, or no longer. */
  find(number: number): KeyObject | undefined | Promise<KeyObject | undefined>;
}

/** Where record keys are kept. */
export interface RecordKeyStore extends FleetSecretStore {
  /** The number of the oldest key that records may be under; undefined before a key was ever dropped. */
  findOldestRecordKey(): Promise<number | undefined>;
}

export interface FleetRecordKeysDeps {
  readonly secrets: RecordKeyStore;
  readonly hsm: HsmCommands;
  /** As it is known here; without it nothing is opened. */
  readonly domain: { readonly state: DomainState | undefined };
  readonly clock: Clock;
  /** For how long something has been. */
  readonly monotonicClock?: Clock;
}

/** Numbers of the record keys there are: those between the two as well. */
export interface RecordKeyRange {
  readonly oldest: number;
  readonly newest: number;
}

export function recordKeyName(number: number): FleetKeyName {
  return { name: `record-key-${number}`, info: 'keyfleet/record-key/1' };
}

/**
 * They are numbered from 1 on, each a secret of the fleet; whoever needs the first one makes it. Who uses them looks
 * again after a while for a newer one, and which are dropped. Of what was seen nothing is taken back: a dropped key
 * that is put back into the store is not used.
 */
export class FleetRecordKeys implements RecordKeys {
  readonly #deps: FleetRecordKeysDeps;
  readonly #now: Clock;
  readonly #looking = new SingleFlight<RecordKeyRange>();
  #opened = new Map<number, FleetKey>();
  /** By which the opened ones were judged. */
  #judgedBy: DomainState | undefined;
  #seen: RecordKeyRange | undefined;
  #lookedAt = -Infinity;

  constructor(deps: FleetRecordKeysDeps) {
    this.#deps = deps;
    this.#now = deps.monotonicClock ?? ofThisProcess;
  }

  newest(): RecordKey | Promise<RecordKey> {
    const range = this.#range();
    if (range instanceof Promise) return range.then(({ newest }) => this.#load(newest));
    return this.#load(range.newest);
  }

  async find(number: number): Promise<KeyObject | undefined> {
    const range = await this.#range();
    // One that was made since the last look is used from now on.
    const { oldest, newest } = number === range.newest + 1 ? await this.look() : range;
    return number < oldest || number > newest ? undefined : (await this.#load(number)).key;
  }

  /** Which keys there are now. */
  look(): Promise<RecordKeyRange> {
    return this.#looking.run(() => this.#look());
  }

  /** Makes the next one, from then on the newest for everybody who looks. Answers its number. */
  async makeNext(): Promise<number> {
    const { oldest, newest } = await this.look();
    if (await this.#isStored(newest + 1)) throw isPlanted(newest + 1);
    await this.#open(newest + 1);
    this.#seen = { oldest, newest: newest + 1 };
    return newest + 1;
  }

  /** Operators said that an older store goes on. */
  forget(): void {
    this.#opened = new Map();
    this.#seen = undefined;
    this.#lookedAt = -Infinity;
  }

  #range(): RecordKeyRange | Promise<RecordKeyRange> {
    const isFresh = this.#now.now() - this.#lookedAt < LOOK_AGAIN_MS;
    return isFresh && this.#seen !== undefined ? this.#seen : this.look();
  }

  async #look(): Promise<RecordKeyRange> {
    const [at, stored] = [this.#now.now(), await this.#deps.secrets.findOldestRecordKey()];
    const oldest = Math.max(stored ?? 1, this.#seen?.oldest ?? 1);
    let newest = Math.max(oldest, this.#seen?.newest ?? oldest);
    if (this.#seen === undefined && oldest > 1 && !(await this.#isStored(oldest))) throw isMissing(oldest);
    while (await this.#isFollowed(newest)) newest++;
    this.#forgetOld(oldest);
    this.#lookedAt = at;
    return (this.#seen = { oldest, newest });
  }

  /** What was opened before a newer domain token came is judged again: it may have told of a removal. */
  #forgetOld(oldest: number): void {
    const { state } = this.#deps.domain;
    for (const number of this.#opened.keys())
      if (number < oldest || state !== this.#judgedBy) this.#opened.delete(number);
    this.#judgedBy = state;
  }

  /** Whether it was made after the last removal of a member or frontend: no other knows it. */
  async isSinceRemoval(number: number): Promise<boolean> {
    return (await this.#madeIn(number)) >= (newestAfterRemoval(this.#state())?.createdGeneration ?? 0);
  }

  /**
   * Former frontends may keep keys of numbers to come, and put them into the store: those are older than the newest.
   */
  async #isFollowed(number: number): Promise<boolean> {
    return (await this.#isStored(number + 1)) && (await this.#madeIn(number + 1)) >= (await this.#madeIn(number));
  }

  async #madeIn(number: number): Promise<number> {
    const { name } = recordKeyName(number);
    const token = await this.#deps.secrets.findSecret(name);
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

  /** Whoever asks meanwhile waits for the same command. */
  #open(number: number): KeyObject | Promise<KeyObject> {
    const opening = this.#opened.get(number) ?? new FleetKey(recordKeyName(number), this.#deps);
    this.#opened.set(number, opening);
    return opening.load(this.#deps.clock.now() + COMMAND_TIMEOUT_MS);
  }
}

function isPlanted(number: number): DamagedRecordError {
  const { name } = recordKeyName(number);
  return new DamagedRecordError(
    `record key ${number} was made before record key ${number - 1}: somebody put it there. Remove kf:secret:{${name}}, and run the command again.`,
  );
}

function isMissing(number: number): DamagedRecordError {
  return new DamagedRecordError(
    `record key ${number} is not there, and older ones are dropped: restore kf:secret:{${recordKeyName(number).name}} from a backup (docs/recovery.md)`,
  );
}
