/** Concurrent callers share one run. */
export class SingleFlight<T> {
  #running: Promise<T> | undefined;

  /** The run in progress, or the one that `start` begins. */
  run(start: () => Promise<T>): Promise<T> {
    if (this.#running !== undefined) return this.#running;
    const running = start().finally(() => {
      if (this.#running === running) this.#running = undefined;
    });
    this.#running = running;
    return running;
  }

  /** The next caller starts anew; the run in progress continues for those who wait for it. */
  forget(): void {
    this.#running = undefined;
  }
}
