import type { Work } from './work.ts';

/** Answered entries at the front are cut off when there are so many, and as many as all behind them. */
const TRIM_AT = 1024;

/**
 * Commands that a worker owes an answer to, by ids that rise one by one from 0. Not a Map: one that is filled and emptied all the
 * time is copied again and again, and the copies left behind, once they are old, keep what was in them from being collected young.
 */
export class PendingWork implements Iterable<Work> {
  /** The id of the first in `#window`. */
  #firstId = 0;
  #window: (Work | undefined)[] = [];
  /** How many at the front of `#window` are answered. */
  #answered = 0;
  #size = 0;

  get size(): number {
    return this.#size;
  }

  /** Returns its id. */
  add(work: Work): number {
    this.#size++;
    return this.#firstId + this.#window.push(work) - 1;
  }

  /** The command of this id, which is forgotten; undefined if it was before. */
  take(id: number): Work | undefined {
    const work = this.#window[id - this.#firstId];
    if (work === undefined) return undefined;
    this.#window[id - this.#firstId] = undefined;
    this.#size--;
    this.#trim();
    return work;
  }

  forgetSettled(): void {
    for (let index = this.#answered; index < this.#window.length; index++) {
      if (!this.#window[index]?.settled) continue;
      this.#window[index] = undefined;
      this.#size--;
    }
    this.#trim();
  }

  *[Symbol.iterator](): Generator<Work> {
    for (const work of this.#window) if (work !== undefined) yield work;
  }

  #trim(): void {
    const window = this.#window;
    while (this.#answered < window.length && window[this.#answered] === undefined) this.#answered++;
    const isWorthIt = this.#size === 0 || (this.#answered >= TRIM_AT && 2 * this.#answered >= window.length);
    if (!isWorthIt) return;
    this.#firstId += this.#answered;
    this.#window = window.slice(this.#answered);
    this.#answered = 0;
  }
}
