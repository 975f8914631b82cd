import { BoundedCache } from '@keyfleet/shared/bounded-cache';

/** Says whether what a cache holds may be believed: only while every change is sure to be heard in time. */
export interface Trust {
  readonly trusted: boolean;
  /** Another one whenever changes may have been missed: what was read before is then no longer what is stored. */
  readonly epoch: number;
  /**
   * Whether what was read in this epoch was right when changes were last sure to be heard, and that is not too long
   * ago.
   */
  isLastKnown(epoch: number): boolean;
}

interface Read<T> {
  /** Undefined while it is being read. */
  value: T | undefined;
  readonly epoch: number;
}

export interface ReadCacheOptions<T> {
  readonly trust: Trust;
  /** About how many bytes a value takes. */
  readonly weightOf: (value: T) => number;
  readonly maxWeight: number;
}

/**
 * Values that were read from a store, by name. A read that was under way when its name was invalidated is answered and
 * not kept: it is no longer the one in the cache. Absence is never kept, so nobody fills the cache with what is not
 * there.
 */
export class ReadCache<T> {
  readonly #trust: Trust;
  readonly #reads: BoundedCache<Read<T>>;

  constructor({ trust, weightOf, maxWeight }: ReadCacheOptions<T>) {
    this.#trust = trust;
    const weightOfRead = ({ value }: Read<T>): number => (value === undefined ? 0 : weightOf(value));
    this.#reads = new BoundedCache({ maxWeight, weightOf: weightOfRead });
  }

  /** The value as it was when the call was made, or later. Not a promise when it is known, which is nearly always. */
  get(name: string, load: () => Promise<T | undefined>): T | Promise<T | undefined> {
    if (!this.#trust.trusted) return this.#getUntrusted(name, load);
    const known = this.#reads.get(name);
    if (known?.value === undefined || known.epoch !== this.#trust.epoch) return this.#load(name, load);
    return known.value;
  }

  /** The value as it was when changes were last sure to be heard; undefined when that is not known, or too long ago. */
  lastKnown(name: string): T | undefined {
    const known = this.#reads.get(name);
    return known !== undefined && this.#trust.isLastKnown(known.epoch) ? known.value : undefined;
  }

  /**
   * Kept for `lastKnown`, if changes have been heard since before the read and it takes the place of nothing that
   * serves there.
   */
  #getUntrusted(name: string, load: () => Promise<T | undefined>): Promise<T | undefined> {
    const isHeard = this.#trust.isLastKnown(this.#trust.epoch);
    return isHeard && this.lastKnown(name) === undefined ? this.#load(name, load) : load();
  }

  invalidate(name: string): void {
    this.#reads.delete(name);
  }

  clear(): void {
    this.#reads.clear();
  }

  async #load(name: string, load: () => Promise<T | undefined>): Promise<T | undefined> {
    const read: Read<T> = { value: undefined, epoch: this.#trust.epoch };
    this.#reads.set(name, read);
    try {
      const value = await load();
      if (value !== undefined && this.#reads.peek(name) === read) {
        read.value = value;
        this.#reads.set(name, read);
      }
      return value;
    } finally {
      if (read.value === undefined && this.#reads.peek(name) === read) this.#reads.delete(name);
    }
  }
}
