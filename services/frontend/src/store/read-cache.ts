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

interface Entry<T> {
  /** Undefined while it is being read. */
  value: T | undefined;
  weight: number;
  readonly epoch: number;
  /** Since it was last its turn to go. */
  used: boolean;
}

export interface ReadCacheOptions<T> {
  readonly trust: Trust;
  /** About how many bytes a value takes. */
  readonly weightOf: (value: T) => number;
  readonly maxWeight: number;
}

/**
 * Values by name; what was not used for longest goes first, about (the clock algorithm: no use moves anything). A read
 * that was under way when its name was invalidated is answered and not kept: its entry is no longer the one in the map.
 * Absence is never kept, so nobody fills the cache with what is not there.
 */
export class ReadCache<T> {
  readonly #options: ReadCacheOptions<T>;
  readonly #entries = new Map<string, Entry<T>>();
  #weight = 0;

  constructor(options: ReadCacheOptions<T>) {
    this.#options = options;
  }

  /** The value as it was when the call was made, or later. Not a promise when it is known, which is nearly always. */
  get(name: string, load: () => Promise<T | undefined>): T | Promise<T | undefined> {
    if (!this.#options.trust.trusted) return this.#getUntrusted(name, load);
    const known = this.#entries.get(name);
    if (known?.value === undefined || known.epoch !== this.#options.trust.epoch) return this.#load(name, load);
    known.used = true;
    return known.value;
  }

  /** The value as it was when changes were last sure to be heard; undefined when that is not known, or too long ago. */
  lastKnown(name: string): T | undefined {
    const known = this.#entries.get(name);
    return known !== undefined && this.#options.trust.isLastKnown(known.epoch) ? known.value : undefined;
  }

  /**
   * Kept for `lastKnown`, if changes have been heard since before the read and it takes the place of nothing that
   * serves there.
   */
  #getUntrusted(name: string, load: () => Promise<T | undefined>): Promise<T | undefined> {
    const { trust } = this.#options;
    const isHeard = trust.isLastKnown(trust.epoch);
    return isHeard && this.lastKnown(name) === undefined ? this.#load(name, load) : load();
  }

  invalidate(name: string): void {
    const entry = this.#entries.get(name);
    if (!entry) return;
    this.#entries.delete(name);
    this.#weight -= entry.weight;
  }

  clear(): void {
    this.#entries.clear();
    this.#weight = 0;
  }

  async #load(name: string, load: () => Promise<T | undefined>): Promise<T | undefined> {
    const entry: Entry<T> = { value: undefined, weight: 0, epoch: this.#options.trust.epoch, used: false };
    this.invalidate(name);
    this.#entries.set(name, entry);
    try {
      const value = await load();
      this.#keep(name, entry, value);
      return value;
    } finally {
      if (entry.value === undefined && this.#entries.get(name) === entry) this.#entries.delete(name);
    }
  }

  #keep(name: string, entry: Entry<T>, value: T | undefined): void {
    if (value === undefined || this.#entries.get(name) !== entry) return;
    entry.value = value;
    entry.weight = this.#options.weightOf(value);
    this.#weight += entry.weight;
    if (this.#weight > this.#options.maxWeight) this.#makeRoomFor(entry);
  }

  #makeRoomFor(newest: Entry<T>): void {
    newest.used = true;
    for (const [name, entry] of this.#entries) {
      this.#entries.delete(name);
      if (entry.used) this.#entries.set(name, entry);
      else this.#weight -= entry.weight;
      entry.used = false;
      if (this.#weight <= this.#options.maxWeight) return;
    }
  }
}
