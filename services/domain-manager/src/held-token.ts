import type { WorkerView } from './worker-survey.ts';
import type { HsmDescription } from './workers.ts';
import { type BringDeps, witnessOfBrought } from './witness.ts';

/** How often one worker is asked: it may lie. */
const ASK_AGAIN_MS = 60_000;

/**
 * The next token, where members hold it or later ones and the store lacks it. Whoever has a domain-manager's host, or
 * stands between, may have tokens made and installed, and store them nowhere: no change could follow, because members
 * go on from what they hold. Anyone may bring a token; here its holder does.
 */
export class HeldToken {
  readonly #deps: BringDeps;
  /** By address. */
  readonly #askedAt = new Map<string, number>();

  constructor(deps: BringDeps) {
    this.#deps = deps;
  }

  /** Stores it, unless others hold another in its place. Returns whether it did. */
  async store(views: readonly WorkerView[]): Promise<boolean> {
    const { tokens, clock, events } = this.#deps;
    const next = tokens.generation + 1;
    for (const { worker, description } of views) {
      // Also one that only the lost tokens admit, which stands as removed, or as a stranger under the name of another.
      if (description === undefined || description.domain !== tokens.head?.state.domain) continue;
      if (!saysThatItHolds(next, description)) continue;
      const now = clock.now();
      if (Math.abs(now - (this.#askedAt.get(worker.address) ?? -Infinity)) < ASK_AGAIN_MS) continue;
      this.#askedAt.set(worker.address, now);
      try {
        const token = Buffer.from(await worker.heldToken(next));
        await tokens.append(token, (made) => witnessOfBrought(made, this.#deps));
        if (tokens.generation < next) continue;
        // It may hold the one after it too.
        this.#askedAt.delete(worker.address);
        events.heldTokenStored(worker, next);
        return true;
      } catch (error) {
        events.heldTokenNotStored(worker, error);
      }
    }
    return false;
  }
}

/** A member that restarted and has not kept its newest token asks for it, and says no hash until it has that. */
function saysThatItHolds(next: number, { generation, tokenHash }: HsmDescription): boolean {
  return generation >= next || (generation === next - 1 && tokenHash.length === 0);
}
