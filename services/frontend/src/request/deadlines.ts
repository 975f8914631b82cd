import { setTimeout as delay } from 'node:timers/promises';
import type { Clock } from '@keyfleet/shared/clock';
import { ConflictError } from '../store/store.ts';
import { timedOut } from './errors.ts';

/** How late a deadline may be noticed, in milliseconds. */
const SWEEP_MS = 25;

/** A place in a list that is linked both ways. */
class Link {
  before: Link = this;
  after: Link = this;

  insertBefore(next: Link): void {
    this.before = next.before;
    this.after = next;
    next.before.after = this;
    next.before = this;
  }

  /**
   * Points to nothing afterwards: a dead one that is old would keep those after it from being collected while they are
   * young.
   */
  remove(): void {
    this.before.after = this.after;
    this.after.before = this.before;
    this.before = this;
    this.after = this;
  }
}

class Waiting extends Link {
  /** Of `performance.now()`. */
  readonly until: number;
  readonly reject: (error: Error) => void;

  constructor(until: number, reject: (error: Error) => void) {
    super();
    this.until = until;
    this.reject = reject;
  }
}

/**
 * Bounds how long promises may take, with one timer for all: one for each request costs more than reading the request.
 * All may take equally long, so they are late in the order in which they came.
 */
export class Deadlines {
  readonly #timeoutMs: number;
  readonly #lateness: () => Error;
  /** Before it stands the one that came last, after it the one that came first. */
  readonly #ends = new Link();
  #scheduled = false;

  /** `lateness`: what is thrown in place of a promise that took too long. */
  constructor(timeoutMs: number, lateness: () => Error) {
    this.#timeoutMs = timeoutMs;
    this.#lateness = lateness;
  }

  within<T>(work: Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      const waiting = new Waiting(performance.now() + this.#timeoutMs, reject);
      waiting.insertBefore(this.#ends);
      this.#schedule();
      work.then(
        (value) => {
          waiting.remove();
          resolve(value);
        },
        (error: unknown) => {
          waiting.remove();
          // oxlint-disable-next-line typescript/prefer-promise-reject-errors -- passed on as it came
          reject(error);
        },
      );
    });
  }

  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    setTimeout(() => this.#sweep(), SWEEP_MS);
  }

  #sweep(): void {
    this.#scheduled = false;
    const now = performance.now();
    for (let first = this.#ends.after; first instanceof Waiting && first.until <= now; first = this.#ends.after) {
      first.remove();
      first.reject(this.#lateness());
    }
    if (this.#ends.after !== this.#ends) this.#schedule();
  }
}

/** About what a read and a write take. */
const PAUSE_MS = 5;
const LONGEST_PAUSE_MS = 100;

/**
 * What was read is no longer so when it is written: somebody else was faster. Then everything is decided again on what
 * they wrote. Throws DependencyTimeoutException when the deadline comes first.
 */
export async function decidedAgain<T>(decide: () => Promise<T>, deadline: number, clock: Clock): Promise<T> {
  for (let tries = 1; ; tries++) {
    try {
      return await decide();
    } catch (error) {
      if (!(error instanceof ConflictError)) throw error;
      // At random, so that those who were refused together do not come back together.
      await delay(Math.random() * Math.min(LONGEST_PAUSE_MS, PAUSE_MS * tries));
      if (clock.now() >= deadline) throw timedOut(error);
    }
  }
}
