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

interface Read<T> {
  /** Undefined while it is being read. */
  value: T | undefined;
  readonly epoch: number;
}

export interface ReadCacheOptions<T> {
  readonly trust: Trust;
  /** The approximate size of a value in bytes. */
  readonly weightOf: (value: T, name: string) => number;
  readonly maxWeight: number;
}

/**
 * Values read from a store, by name. If a name is invalidated during a read, that read is answered but not kept: it is
 * no longer the cache's current one. Absence is never cached, so that nobody can fill the cache with missing names.
 */
export class ReadCache<T> {
  readonly #trust: Trust;
  readonly #reads: BoundedCache<Read<T>>;

  constructor({ trust, weightOf, maxWeight }: ReadCacheOptions<T>) {
    this.#trust = trust;
    const weightOfRead = ({ value }: Read<T>, name: string) => (value === undefined ? 0 : weightOf(value, name));
    this.#reads = new BoundedCache({ maxWeight, weightOf: weightOfRead });
  }

  /** The value as of this call or later. Almost always cached; otherwise a promise. */
  get(name: string, load: () => Promise<T | undefined>): T | Promise<T | undefined> {
    if (!this.#trust.trusted) return this.#getUntrusted(name, load);
    const known = this.#reads.get(name);
    if (known?.value === undefined || known.epoch !== this.#trust.epoch) return this.#load(name, load);
    return known.value;
  }

  /** The value when changes were last sure to be heard; undefined if unknown or too old. */
  lastKnown(name: string): T | undefined {
    const known = this.#reads.get(name);
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
