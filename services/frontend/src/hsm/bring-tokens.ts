import { SayOnce } from '@keyfleet/shared/say-once';
import type { ShownChain } from './shown-chain.ts';

/** A domain-manager has what is stored within a second, and is asked every three. */
const MISSING_MS = 10_000;
const AGAIN_MS = 60_000;

/**
 * Brings a domain-manager the token that it lacks and another source shows. Otherwise whoever shows a removal to
 * frontends alone, which a quorum has signed, would stop them: they use nobody from before it, and no member could
 * prove to have it. It counts wherever it is brought, because it has its witness.
 */
export class TokenBringer {
  readonly #managers: readonly ShownChain[];
  readonly #chains: readonly ShownChain[];
  readonly #onProblem: (address: string, error: unknown) => void;
  readonly #said = new SayOnce();
  /** As `performance.now()`, by address. */
  readonly #broughtAt = new Map<string, number>();

  /** `managers`: those of `chains` that take tokens. */
  constructor(
    managers: readonly ShownChain[],
    chains: readonly ShownChain[],
    onProblem: (address: string, error: unknown) => void,
  ) {
    this.#managers = managers;
    this.#chains = chains;
    this.#onProblem = onProblem;
  }

  /** Called now and then. Does not wait. */
  bring(): void {
    const now = performance.now();
    for (const manager of this.#managers) {
      const { newest, isReading, address, store } = manager;
      if (newest === undefined || isReading || store === undefined) continue;
      if (now - (this.#broughtAt.get(address) ?? -Infinity) < AGAIN_MS) continue;
      const shows = this.#chains.find((chain) => now - chain.heardAt > MISSING_MS && chain.next(newest) !== undefined);
      if (shows === undefined) continue;
      this.#broughtAt.set(address, now);
      store(shows.next(newest)!).catch((cause: unknown) => {
        const generation = newest.state.generation + 1;
        const error = new Error(`it does not take domain token ${generation}, which ${shows.address} shows`, { cause });
        if (this.#said.isNew(address, error)) this.#onProblem(address, error);
      });
    }
  }
}
