import { BoundedCache } from '@keyfleet/shared/bounded-cache';

/** Whether a cache's contents may be believed: only while every change is sure to be heard in time. */
export interface Trust {
  readonly trusted: boolean;
  /** Changes whenever changes may have been missed; earlier reads may then no longer match the store. */
  readonly epoch: number;
  /**
   * Whether a value read in this epoch was right when changes were last sure to be heard, and that was recently enough.
   */
  isLastKnown(epoch: number): boolean;
}

interface Known<T> {
  /** Undefined until it was read. */
  value: T | undefined;
  readonly epoch: number;
  /** How many reads are under way. */
  reads: number;
}

export interface ReadCacheOptions<T> {
  readonly trust: Trust;
  /** The approximate size of a value in bytes. */
  readonly weightOf: (value: T, name: string) => number;
  readonly maxWeight: number;
}

/**
 * Values read from a store, by name. If a name is invalidated during a read, that read is answered but not kept: what
 * the cache knows by then is another. Reads that overlap without one between them are as good as each other: under a
 * steady load there is always one under way. Absence is never cached, so that nobody can fill the cache with missing
 * names.
 */
export class ReadCache<T> {
  readonly #trust: Trust;
  readonly #known: BoundedCache<Known<T>>;

  constructor({ trust, weightOf, maxWeight }: ReadCacheOptions<T>) {
    this.#trust = trust;
    const weightOfKnown = ({ value }: Known<T>, name: string) => (value === undefined ? 0 : weightOf(value, name));
    this.#known = new BoundedCache({ maxWeight, weightOf: weightOfKnown });
  }

  /** The value as of this call or later. Almost always cached; otherwise a promise. */
  get(name: string, load: () => Promise<T | undefined>): T | Promise<T | undefined> {
    if (!this.#trust.trusted) return this.#getUntrusted(name, load);
    const known = this.#known.get(name);
    if (known?.value === undefined || known.epoch !== this.#trust.epoch) return this.#load(name, load);
    return known.value;
  }

  /** The value when changes were last sure to be heard; undefined if unknown or too old. */
  lastKnown(name: string): T | undefined {
    const known = this.#known.get(name);
    return known !== undefined && this.#trust.isLastKnown(known.epoch) ? known.value : undefined;
  }

  /**
   * Keeps the value for `lastKnown` if changes have been heard since before the read, unless that would replace a value
   * that serves there.
   */
  #getUntrusted(name: string, load: () => Promise<T | undefined>): Promise<T | undefined> {
    const isHeard = this.#trust.isLastKnown(this.#trust.epoch);
    return isHeard && this.lastKnown(name) === undefined ? this.#load(name, load) : load();
  }

  invalidate(name: string): void {
    this.#known.delete(name);
  }

  clear(): void {
    this.#known.clear();
  }

  async #load(name: string, load: () => Promise<T | undefined>): Promise<T | undefined> {
    const known = this.#beginRead(name);
    try {
      const value = await load();
      if (this.#isCurrent(name, known)) {
        known.value = value;
        this.#known.set(name, known);
      }
      return value;
    } finally {
      known.reads--;
      if (known.value === undefined && known.reads === 0 && this.#isCurrent(name, known)) this.#known.delete(name);
    }
  }

  #beginRead(name: string): Known<T> {
    const { epoch } = this.#trust;
    let known = this.#known.peek(name);
    if (known?.epoch !== epoch) this.#known.set(name, (known = { value: undefined, epoch, reads: 0 }));
    known.reads++;
    return known;
  }

  #isCurrent(name: string, known: Known<T>): boolean {
    return this.#known.peek(name) === known;
  }
}
