/** Work in lanes, one of each lane in turn, so that who brings much delays nobody else by more than one piece of it. */
export class FairQueue<Lane, Work> {
  /** No lane is empty; the one whose turn is next comes first. */
  readonly #lanes = new Map<Lane, Work[]>();
  readonly #maxWaiting: number;

  /** `maxWaiting`: of one lane. */
  constructor(maxWaiting: number) {
    this.#maxWaiting = maxWaiting;
  }

  /** False when the lane is full. */
  add(lane: Lane, work: Work): boolean {
    const waiting = this.#lanes.get(lane);
    if (waiting === undefined) this.#lanes.set(lane, [work]);
    else if (waiting.length < this.#maxWaiting) waiting.push(work);
    else return false;
    return true;
  }

  take(): Work | undefined {
    for (const [lane, waiting] of this.#lanes) {
      const work = waiting.shift();
      this.#lanes.delete(lane);
      if (waiting.length > 0) this.#lanes.set(lane, waiting);
      return work;
    }
    return undefined;
  }

  /** Everything that waits; none does afterwards. */
  drain(): Work[] {
    const all = [...this.#lanes.values()].flat();
    this.#lanes.clear();
    return all;
  }
}
