/**
 * A queue of lanes within lanes (an account's keys, for example). Lanes take turns, so a busy lane delays another by at
 * most one of its items.
 */
export class FairQueue<Item> {
  readonly #maxWaiting: readonly number[];
  /** No lane is empty. The lane whose turn is next comes first. */
  readonly #lanes = new Map<unknown, FairQueue<Item>>();
  /** In the innermost lane only. */
  readonly #items: Item[] = [];
  #size = 0;

  /** `maxWaiting`: the limit of one lane at each depth, outermost first. */
  constructor(maxWaiting: readonly number[]) {
    this.#maxWaiting = maxWaiting;
  }

  /** `path`: the lane at each depth. Returns false if one of them is full. */
  add([name, ...inner]: readonly unknown[], item: Item): boolean {
    if (name === undefined) {
      this.#items.push(item);
    } else {
      const [max = 0, ...maxInside] = this.#maxWaiting;
      const lane = this.#lanes.get(name) ?? new FairQueue(maxInside);
      if (lane.#size >= max || !lane.add(inner, item)) return false;
      this.#lanes.set(name, lane);
    }
    this.#size++;
    return true;
  }

  take(): Item | undefined {
    if (this.#size === 0) return undefined;
    this.#size--;
    for (const [name, lane] of this.#lanes) {
      const item = lane.take();
      this.#lanes.delete(name);
      if (lane.#size > 0) this.#lanes.set(name, lane);
      return item;
    }
    return this.#items.shift();
  }

  /** Removes and returns everything that waits. */
  drain(): Item[] {
    return Array.from({ length: this.#size }, () => this.take() as Item);
  }
}
