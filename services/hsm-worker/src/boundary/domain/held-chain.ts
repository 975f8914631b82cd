import { assertComesBy } from '@keyfleet/shared/domain/chain';
import { DomainError } from '@keyfleet/shared/domain/domain-error';
import type { Operator, VerifiedDomain } from '@keyfleet/shared/domain/state';
import { type DomainToken, parseToken } from '@keyfleet/shared/domain/token';
import type { Checkpoint } from '@keyfleet/shared/domain/trust-anchor';

/**
 * How many of its newest tokens an HSM can vouch for, and its shell keeps. Machines alone make one in an hour: a day
 * and more, in which somebody notices that the store lacks them.
 */
export const HELD_TOKENS = 32;

interface Held {
  readonly hash: Uint8Array;
  readonly schedulers: readonly Operator[];
}

/** The newest tokens that an HSM has followed to the one that is installed. */
export class HeldChain {
  /** By generation, in no order. */
  readonly #held = new Map<number, Held>();

  /**
   * `newest`: what the HSM remembers. `kept`: what its shell has kept, oldest first; of that only the chain that ends
   * in the newest counts, because anyone may write to the disk.
   */
  constructor(newest: VerifiedDomain | undefined, kept: readonly Uint8Array[] = []) {
    if (newest === undefined) return;
    this.#hold(newest);
    let expected: Uint8Array | undefined = newest.hash;
    for (const bytes of kept.toReversed()) {
      const token = parsedIfToken(bytes);
      if (expected === undefined || token === undefined || Buffer.compare(token.hash, expected) !== 0) continue;
      this.#hold(token);
      expected = token.previousHash;
    }
  }

  /** Throws `DomainError('forked')` for another token of the checkpoint's generation. */
  assertComesBy(checkpoint: Checkpoint | undefined): void {
    const { generation = 0 } = checkpoint ?? {};
    const held = this.#held.get(generation);
    if (held !== undefined) assertComesBy(checkpoint, { state: { generation }, hash: held.hash });
  }

  holds({ state, hash }: DomainToken): boolean {
    const held = this.#held.get(state.generation);
    return held !== undefined && hash.equals(held.hash);
  }

  /** Of what is on the disk, where anyone may have put something else. */
  holdsBytes(token: Uint8Array): boolean {
    const parsed = parsedIfToken(token);
    return parsed !== undefined && this.holds(parsed);
  }

  /** Those of each state in it, whom later ones may have removed: each once. */
  get schedulers(): readonly Operator[] {
    const all = [...this.#held.values()].flatMap(({ schedulers }) => schedulers);
    const isSame = (one: Operator, other: Operator): boolean =>
      one.operatorId === other.operatorId && Buffer.compare(one.signingKey, other.signingKey) === 0;
    return all.filter((one, i) => all.findIndex((other) => isSame(one, other)) === i);
  }

  /** Tokens that follow, the newest last. */
  add(tokens: readonly DomainToken[]): void {
    for (const token of tokens) this.#hold(token);
    const newest = tokens.at(-1)?.state.generation ?? 0;
    for (const generation of this.#held.keys()) {
      if (generation <= newest - HELD_TOKENS) this.#held.delete(generation);
    }
  }

  #hold({ state, hash }: Pick<VerifiedDomain, 'state' | 'hash'>): void {
    const schedulers = state.operators.filter(({ role }) => role === 'scheduler');
    this.#held.set(state.generation, { hash, schedulers });
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
