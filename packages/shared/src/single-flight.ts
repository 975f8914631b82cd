/** Callers at the same time share one run. */
export class SingleFlight<T> {
  #running: Promise<T> | undefined;

  /** What is under way, or what `start` begins. */
  run(start: () => Promise<T>): Promise<T> {
    if (this.#running !== undefined) return this.#running;
    const running = start().finally(() => {
      if (this.#running === running) this.#running = undefined;
    });
    this.#running = running;
    return running;
  }

  /** The next caller begins anew; what is under way goes on for those who wait for it. */
  forget(): void {
    this.#running = undefined;
  }
}
