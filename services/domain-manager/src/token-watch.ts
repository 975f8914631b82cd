import { setTimeout as delay } from 'node:timers/promises';
import type { DomainManagerEvents } from './events.ts';
import { type TokenLog, TokenLogError } from './token-log.ts';

/** One token each time: 400 of 30 kB take seven minutes, and Redis does not notice. */
const EVERY_MS = 1_000;

export interface TokenWatchOptions {
  readonly tokens: Pick<TokenLog, 'refresh' | 'compareOne'>;
  readonly events: Pick<DomainManagerEvents, 'tokensUnreadable'>;
}

/** Looks whether the store has the tokens that this replica has verified, whether or not it leads and is asked. */
export class TokenWatch implements AsyncDisposable {
  readonly #options: TokenWatchOptions;
  readonly #stop = new AbortController();
  readonly #first: Promise<void>;
  readonly #loop: Promise<void>;
  #hadAll = false;
  #problem: string | undefined;

  constructor(options: TokenWatchOptions) {
    this.#options = options;
    this.#first = this.#look();
    this.#loop = this.#run();
  }

  /** Whether it has once had every token that is stored: a replica that never did is not to replace one that has. */
  get hadAll(): boolean {
    return this.#hadAll;
  }

  /** What stands in the store that is no token of this domain, or another than this replica has. */
  get problem(): string | undefined {
    return this.#problem;
  }

  /** Resolves after the first look. */
  started(): Promise<void> {
    return this.#first;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await this.#loop;
  }

  async #run(): Promise<void> {
    const { signal } = this.#stop;
    await this.#first;
    while (!signal.aborted) {
      await delay(EVERY_MS, undefined, { signal }).catch(() => {});
      if (!signal.aborted) await this.#look();
    }
  }

  async #look(): Promise<void> {
    const { tokens, events } = this.#options;
    try {
      await tokens.refresh();
      this.#hadAll = true;
      await tokens.compareOne();
      this.#problem = undefined;
    } catch (error) {
      if (error instanceof TokenLogError) this.#problem = error.message;
      events.tokensUnreadable(error);
    }
  }
}
