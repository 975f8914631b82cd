import { hash } from 'node:crypto';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { assertSignature, follow } from '@keyfleet/shared/domain/chain';
import { DomainError } from '@keyfleet/shared/domain/domain-error';
import type { VerifiedDomain } from '@keyfleet/shared/domain/state';
import { type DomainToken, parseToken, tokenHash } from '@keyfleet/shared/domain/token';
import type { TrustAnchor } from '@keyfleet/shared/domain/trust-anchor';
import { assertWitnessed } from '@keyfleet/shared/domain/witness';
import { storedNameOf, storedValues } from '@keyfleet/shared/stored/names';
import type { Progress } from '../progress.ts';
import type { ListPiece } from './format.ts';

/** What was verified of a list of domain tokens so far. */
interface Chain {
  /** SHA-256 of each one's bytes, by place: a backup may hold some twice, and a restore goes over all three times. */
  readonly digests: string[];
  newest: VerifiedDomain | undefined;
}

interface TokenInPlace {
  readonly expected: Buffer;
  readonly found: Buffer;
  /** What stands in Redis in the place before; undefined if `found` is in the first one. */
  readonly before: Buffer | undefined;
}

/**
 * Verifies domain tokens as everybody does who follows the domain: hashes alone cover neither the signature nor the
 * witness, and without these nobody takes a token. Without a trust anchor nobody can tell who was to found the domain,
 * so of token 1 that is left open.
 */
export class TokenChains {
  readonly #chains = new Map<string, Chain>();
  readonly #anchor: TrustAnchor | undefined;
  readonly #progress: Pick<Progress, 'tell'>;
  #verified = 0;

  constructor(anchor: TrustAnchor | undefined, progress: Pick<Progress, 'tell'>) {
    this.#anchor = anchor;
    this.#progress = progress;
  }

  /** Why it is not the domain token of that place; undefined if it is. */
  async problemOf(name: string, place: number, bytes: Buffer): Promise<string | undefined> {
    if (bytes.length > storedValues.tokens.maxBytes) return 'too long';
    const chain = this.#chains.getOrInsertComputed(name, () => ({ digests: [], newest: undefined }));
    const digest = hash('sha256', bytes);
    if (chain.digests[place] === digest) return undefined;
    // Each takes milliseconds: Redis's answers and signals must not wait for thousands.
    await nextTurn();
    this.#progress.tell(() => `${this.#verified} domain tokens verified`);
    try {
      if (place !== chain.digests.length) throw new DomainError('skipped', 'it is not the one after the one before');
      chain.newest = this.#next(storedNameOf(name)!.tag, chain.newest, parseToken(bytes));
    } catch (error) {
      return `token ${place + 1} does not verify: ${(error as Error).message}`;
    }
    chain.digests.push(digest);
    this.#verified++;
    return undefined;
  }

  /**
   * Whether a restore finds the token of the backup, `expected`, in Redis, whoever confirms it there: a domain-manager
   * that kept running may have put it back as it was stored another time (`tokenHash`). It is verified like any other.
   */
  isSame(name: string, { expected, found, before }: TokenInPlace): boolean {
    try {
      const token = parseToken(found);
      this.#next(storedNameOf(name)!.tag, before && parseToken(before), token);
      return token.hash.equals(tokenHash(expected));
    } catch (error) {
      if (error instanceof DomainError) return false;
      throw error;
    }
  }

  #next(domain: string, previous: VerifiedDomain | undefined, token: DomainToken): VerifiedDomain {
    if (token.state.domain !== domain)
      throw new DomainError('other-domain', `the token is of domain ${token.state.domain}`);
    if (this.#anchor !== undefined) return follow(this.#anchor, previous, token);
    const claimed = { domain, minimum: 1, operators: token.state.operators };
    return previous === undefined ? first(claimed, token) : follow(claimed, previous, token);
  }
}

/** Token 1, but for whether its change is that of the founders. */
function first(claimed: TrustAnchor, token: DomainToken): VerifiedDomain {
  const { state, hash: itsHash, previousHash } = token;
  if (state.generation !== 1 || previousHash !== undefined)
    throw new DomainError('skipped', `token ${state.generation} cannot be the first one`);
  assertSignature(token);
  assertWitnessed(claimed, undefined, token);
  return { state, hash: itsHash };
}

/** Of one pass over the pieces of a backup: ends a list where an element is no domain token. */
export class SoundTokens {
  readonly #chains: TokenChains;
  readonly #leftOut: (what: string) => void;
  readonly #cutOff = new Set<string>();

  constructor(chains: TokenChains, leftOut: (what: string) => void) {
    this.#chains = chains;
    this.#leftOut = leftOut;
  }

  /** What is left of the piece. The rest of a list goes with an element: another would come into its place. */
  async soundOf(piece: ListPiece): Promise<ListPiece | undefined> {
    const { name, value, from = 0 } = piece;
    const sound: string[] = [];
    for (const element of this.#cutOff.has(name) ? [] : value) {
      const place = from + sound.length;
      const problem = await this.#chains.problemOf(name, place, Buffer.from(element, 'base64'));
      if (problem !== undefined) {
        this.#cutOff.add(name);
        this.#leftOut(`${name} (from element ${place} on: ${problem})`);
        break;
      }
      sound.push(element);
    }
    return sound.length > 0 ? { ...piece, value: sound } : undefined;
  }
}
