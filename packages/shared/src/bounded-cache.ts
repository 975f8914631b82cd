interface Entry<T> {
  readonly name: string;
  value: T;
  weight: number;
  /** Index in the ring. */
  place: number;
  /** Since the hand last passed. */
  used: boolean;
}

export interface BoundedCacheOptions<T> {
  readonly maxWeight: number;
  /** Default: each value weighs 1. */
  readonly weightOf?: (value: T, name: string) => number;
  /** Called with every value that is removed, except by `clear`. */
  readonly onRemoved?: (value: T, name: string) => void;
}

/**
 * Values by name, up to a total weight. The clock algorithm approximates LRU: a hit sets a bit and moves nothing
 * (docs/decisions/0007). To make room, a hand goes round the ring, clears set bits, and removes values whose bit was
 * clear.
 */
export class BoundedCache<T> {
  readonly #maxWeight: number;
  readonly #weightOf: (value: T, name: string) => number;
  readonly #onRemoved: ((value: T, name: string) => void) | undefined;
  readonly #entries = new Map<string, Entry<T>>();
  #ring: Entry<T>[] = [];
  #hand = 0;
  #weight = 0;

  constructor({ maxWeight, weightOf = () => 1, onRemoved }: BoundedCacheOptions<T>) {
    this.#maxWeight = maxWeight;
    this.#weightOf = weightOf;
    this.#onRemoved = onRemoved;
  }

  get(name: string): T | undefined {
    const entry = this.#entries.get(name);
    if (entry === undefined) return undefined;
    entry.used = true;
    return entry.value;
  }

  /** Does not count as a use. */
  peek(name: string): T | undefined {
    return this.#entries.get(name)?.value;
  }

  /** Returns false if the value alone exceeds the limit: then nothing stays under its name. */
  set(name: string, value: T): boolean {
    const weight = this.#weightOf(value, name);
    if (weight > this.#maxWeight) {
      this.delete(name);
      return false;
    }
    const entry = this.#put(name, value);
    this.#weight += weight - entry.weight;
    entry.weight = weight;
    if (this.#weight > this.#maxWeight) this.#makeRoomFor(entry);
    return true;
  }

  /** All of them, which counts as no use. */
  values(): T[] {
    return this.#ring.map(({ value }) => value);
  }

  delete(name: string): void {
    const entry = this.#entries.get(name);
    if (entry !== undefined) this.#remove(entry);
  }

  clear(): void {
    this.#entries.clear();
    this.#ring = [];
    this.#hand = 0;
    this.#weight = 0;
  }

  #put(name: string, value: T): Entry<T> {
    const known = this.#entries.get(name);
    if (known !== undefined) {
      const before = known.value;
      known.value = value;
      if (before !== value) this.#onRemoved?.(before, name);
      return known;
    }
    const entry = { name, value, weight: 0, place: this.#ring.length, used: false };
    this.#entries.set(name, entry);
    this.#ring.push(entry);
    return entry;
  }

  /** The newest takes the place of the one it pushes out, so the hand reaches it last. */
  #makeRoomFor(newest: Entry<T>): void {
    newest.used = true;
    while (this.#weight > this.#maxWeight) {
      if (this.#hand >= this.#ring.length) this.#hand = 0;
      const entry = this.#ring[this.#hand++]!;
      if (entry.used) entry.used = false;
      else this.#remove(entry);
    }
    newest.used = false;
  }

  #remove(entry: Entry<T>): void {
    this.#entries.delete(entry.name);
    this.#weight -= entry.weight;
    const last = this.#ring.pop()!;
    if (last !== entry) {
      this.#ring[entry.place] = last;
      last.place = entry.place;
    }
    this.#onRemoved?.(entry.value, entry.name);
  }
}
