/**
 * The intended times of requests that arrive evenly, `perSecond` in all, of which this takes every `step`-th from the
 * `first` on.
 */
export class Schedule {
  readonly #begin: number;
  readonly #interval: number;
  readonly #first: number;
  readonly #step: number;
  #taken = 0;

  /** `begin`: milliseconds, of the clock whose times are asked about. */
  constructor(begin: number, perSecond: number, arrivals: { first: number; step: number }) {
    this.#begin = begin;
    this.#interval = 1000 / perSecond;
    this.#first = arrivals.first;
    this.#step = arrivals.step;
  }

  get next(): number {
    return this.#begin + (this.#first + this.#taken * this.#step) * this.#interval;
  }

  /** The next intended time that is not after `now`; each is given once, however late it is asked for. */
  takeDue(now: number): number | undefined {
    const { next } = this;
    if (next > now) return undefined;
    this.#taken++;
    return next;
  }
}
