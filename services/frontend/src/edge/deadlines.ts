/** How late a deadline may be noticed, in milliseconds. */
const SWEEP_MS = 25;

interface Waiting {
  /** Of `performance.now()`. */
  readonly until: number;
  readonly reject: (error: Error) => void;
}

/** Bounds how long promises may take, with one timer for all: one for each request costs more than reading the request. */
export class Deadlines {
  readonly #lateness: () => Error;
  readonly #waiting = new Set<Waiting>();
  #scheduled = false;

  /** `lateness`: what is thrown in place of the promise that took too long. */
  constructor(lateness: () => Error) {
    this.#lateness = lateness;
  }

  within<T>(timeoutMs: number, work: Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      const waiting = { until: performance.now() + timeoutMs, reject };
      this.#waiting.add(waiting);
      this.#schedule();
      work.then(
        (value) => {
          this.#waiting.delete(waiting);
          resolve(value);
        },
        (error: unknown) => {
          this.#waiting.delete(waiting);
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
    for (const waiting of this.#waiting) {
      if (waiting.until > now) continue;
      this.#waiting.delete(waiting);
      waiting.reject(this.#lateness());
    }
    if (this.#waiting.size > 0) this.#schedule();
  }
}
