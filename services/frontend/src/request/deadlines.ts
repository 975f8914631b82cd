import { setTimeout as delay } from 'node:timers/promises';
import type { Clock } from '@keyfleet/shared/clock';
import { ConflictError } from '../store/store.ts';
import { timedOut } from './errors.ts';

/** How late we may notice a deadline, in milliseconds. */
const SWEEP_MS = 25;

/** A node of a doubly linked list. */
class Link {
  before: Link = this;
  after: Link = this;

  insertBefore(next: Link): void {
    this.before = next.before;
    this.after = next;
    next.before.after = this;
    next.before = this;
  }

  /** Clears its own links: an old dead node would keep the nodes after it from being collected while they are young. */
  remove(): void {
    this.before.after = this.after;
    this.after.before = this.before;
    this.before = this;
    this.after = this;
  }
}

class Waiting extends Link {
  /** As `performance.now()`. */
  readonly until: number;
  readonly reject: (error: Error) => void;

  constructor(until: number, reject: (error: Error) => void) {
    super();
    this.until = until;
    this.reject = reject;
  }
}

/**
 * Bounds how long promises may take, with one timer for all of them: a timer per request costs more than reading the
 * request. All have the same limit, so they expire in the order in which they came.
 */
export class Deadlines {
  readonly #timeoutMs: number;
  readonly #lateness: () => Error;
  /** The list's head: the newest node is before it, the oldest after it. */
  readonly #ends = new Link();
  #scheduled = false;

  /** `lateness`: the error for a promise that took too long. */
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

/** About the time of one read and one write. */
const PAUSE_MS = 5;
const LONGEST_PAUSE_MS = 100;

/**
 * Decides again, on the new record, each time that another writer changed what was read. Throws
 * DependencyTimeoutException if the deadline comes first.
 */
export async function decidedAgain<T>(decide: () => Promise<T>, deadline: number, clock: Clock): Promise<T> {
  for (let tries = 1; ; tries++) {
    try {
      return await decide();
    } catch (error) {
      if (!(error instanceof ConflictError)) throw error;
      // Random, so that writers refused together do not return together.
      await delay(Math.random() * Math.min(LONGEST_PAUSE_MS, PAUSE_MS * tries));
      if (clock.now() >= deadline) throw timedOut(error);
    }
  }
}
