import type { Terminal } from './terminal.ts';

const EVERY_MS = 5_000;

/** Tells the person at the terminal that something long is still running; says nothing about what ends soon. */
export class Progress {
  readonly #terminal: Pick<Terminal, 'note'>;
  readonly #begun = performance.now();
  #told = performance.now();

  constructor(terminal: Pick<Terminal, 'note'>) {
    this.#terminal = terminal;
  }

  /** `what` is called only when it is time to report. */
  tell(what: () => string): void {
    const now = performance.now();
    if (now - this.#told < EVERY_MS) return;
    this.#told = now;
    this.#terminal.note(`${Math.round((now - this.#begun) / 1000)} s: ${what()}`);
  }
}
