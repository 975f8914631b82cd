/** Runs a bounded number at a time; the others wait in order of arrival. */
export class Turns {
  #free: number;
  readonly #waiting: (() => void)[] = [];
  #isStarting = false;

  constructor(atOnce: number) {
    this.#free = atOnce;
  }

  get waiting(): number {
    return this.#waiting.length;
  }

  /** Calls `start` once there is room, which is nearly always at once. Each start must be followed by a `leave`. */
  enter(start: () => void): void {
    if (this.#free === 0 || this.#waiting.length > 0) {
      this.#waiting.push(start);
      return;
    }
    this.#free--;
    start();
  }

  leave(): void {
    this.#free++;
    // Whoever is started may leave at once: within each other, some thousands would fill the stack.
    if (this.#isStarting) return;
    this.#isStarting = true;
    try {
      while (this.#free > 0 && this.#waiting.length > 0) {
        this.#free--;
        this.#waiting.shift()!();
      }
    } finally {
      this.#isStarting = false;
    }
  }
}
