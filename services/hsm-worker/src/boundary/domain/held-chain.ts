import { DomainError } from '@keyfleet/shared/domain/domain-error';
import type { VerifiedDomain } from '@keyfleet/shared/domain/state';
import { type DomainToken, parseToken } from '@keyfleet/shared/domain/token';

/**
 * How many of its newest tokens an HSM can vouch for, and its shell keeps. Machines alone make one in an hour: a day
 * and more, in which somebody notices that the store lacks them.
 */
export const HELD_TOKENS = 32;

/** The newest tokens that an HSM has followed to the one that is installed, by their hashes. */
export class HeldChain {
  /** By generation, in no order. */
  readonly #hashes = new Map<number, Uint8Array>();

  /**
   * `newest`: what the HSM remembers. `kept`: what its shell has kept, oldest first; of that only the chain that ends
   * in the newest counts, because anyone may write to the disk.
   */
  constructor(newest: VerifiedDomain | undefined, kept: readonly Uint8Array[] = []) {
    if (newest === undefined) return;
    this.#hashes.set(newest.state.generation, newest.hash);
    let expected: Uint8Array | undefined = newest.hash;
    for (const bytes of kept.toReversed()) {
      const token = parsedIfToken(bytes);
      if (expected === undefined || token === undefined || Buffer.compare(token.hash, expected) !== 0) continue;
      this.#hashes.set(token.state.generation, token.hash);
      expected = token.previousHash;
    }
  }

  holds({ state, hash }: DomainToken): boolean {
    const held = this.#hashes.get(state.generation);
    return held !== undefined && hash.equals(held);
  }

  /** Tokens that follow, the newest last. */
  add(tokens: readonly DomainToken[]): void {
    for (const { state, hash } of tokens) this.#hashes.set(state.generation, hash);
    const newest = tokens.at(-1)?.state.generation ?? 0;
    for (const generation of this.#hashes.keys()) {
      if (generation <= newest - HELD_TOKENS) this.#hashes.delete(generation);
    }
  }
}

function parsedIfToken(bytes: Uint8Array): DomainToken | undefined {
  try {
    return parseToken(bytes);
  } catch (error) {
    if (error instanceof DomainError) return undefined;
    throw error;
  }
}
