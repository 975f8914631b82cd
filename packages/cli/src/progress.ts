import type { Terminal } from './terminal.ts';

const EVERY_MS = 5_000;

/** Tells a person at the terminal that something long goes on; of what is over soon it says nothing. */
export class Progress {
  readonly #terminal: Pick<Terminal, 'note'>;
  readonly #begun = performance.now();
  #told = performance.now();

  constructor(terminal: Pick<Terminal, 'note'>) {
    this.#terminal = terminal;
  }

  /** `what` is asked only when it is time to say it. */
  tell(what: () => string): void {
    const now = performance.now();
    if (now - this.#told < EVERY_MS) return;
    this.#told = now;
    this.#terminal.note(`${Math.round((now - this.#begun) / 1000)} s: ${what()}`);
  }
}
