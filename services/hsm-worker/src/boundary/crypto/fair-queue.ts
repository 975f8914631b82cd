/**
 * Items in lanes within lanes (the keys of an account, say). Lanes take turns, so that who brings much delays nobody
 * else by more than a piece of it.
 */
export class FairQueue<Item> {
  readonly #maxWaiting: readonly number[];
  /** No lane is empty; the one whose turn is next comes first. */
  readonly #lanes = new Map<unknown, FairQueue<Item>>();
  /** Of the innermost lane. */
  readonly #items: Item[] = [];
  #size = 0;

  /** `maxWaiting`: of one lane of each depth, from the outermost in. */
  constructor(maxWaiting: readonly number[]) {
    this.#maxWaiting = maxWaiting;
  }

  /** `path`: which lane of each depth. False when one of them is full. */
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

  /** Everything that waits; none does afterwards. */
  drain(): Item[] {
    return Array.from({ length: this.#size }, () => this.take() as Item);
  }
}
