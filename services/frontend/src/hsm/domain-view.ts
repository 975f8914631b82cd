import { systemClock } from '@keyfleet/shared/clock';
import { assertComesBy, assertNotFromFuture, follow, reaches } from '@keyfleet/shared/domain/chain';
import {
  type DomainState,
  isMember,
  type Member,
  newestAfterRemoval,
  type VerifiedDomain,
} from '@keyfleet/shared/domain/state';
import { parseToken } from '@keyfleet/shared/domain/token';
import type { Checkpoint, TrustAnchor } from '@keyfleet/shared/domain/trust-anchor';
import type { Notices } from '@keyfleet/shared/notices';
import { TokenFollower, type TokenSource } from '@keyfleet/shared/token-follower';
import type { DomainFloor } from './domain-floor.ts';
import type { DomainProof, KnownDomain } from './known-domain.ts';

const POLL_MS = 3000;
/** Nothing works until the first token is there, so this polls more often. */
const FIRST_POLL_MS = 200;
/** How long it may take to find the token that a member has. */
const BEHIND_MS = 5000;

export interface DomainViewOptions {
  readonly anchor: TrustAnchor;
  readonly floor: DomainFloor;
  /** The domain-managers. */
  readonly sources: readonly TokenSource[];
  readonly notices: Pick<Notices, 'subscribe'>;
  /**
   * A domain-manager could not be reached, or served a token that does not verify. A repeated problem is reported once.
   */
  readonly onProblem: (address: string, error: unknown) => void;
}

/** Proof from a member that it has a token which is not in this frontend's chain. */
interface Elsewhere extends DomainProof {
  readonly member: Member;
  /** As `performance.now()`. */
  readonly since: number;
}

/**
 * This frontend's own verified copy of the public domain state: the chain of tokens from the trust anchor, followed as
 * it grows. It relies on nothing older than its floor and the trust anchor's checkpoint, and on no chain that a member
 * has seen continue elsewhere.
 */
export class DomainView implements KnownDomain, AsyncDisposable {
  readonly #options: DomainViewOptions;
  readonly #follower: TokenFollower;
  #verified: VerifiedDomain | undefined;
  /** Of the tokens of the chain: indexed by generation - 1. */
  readonly #hashes: Uint8Array[] = [];
  #elsewhere: readonly Elsewhere[] = [];
  readonly #onRemoval: (() => void)[] = [];
  /** A token that follows and verifies, and that this frontend could not take. */
  #untaken: { readonly generation: number; readonly why: string } | undefined;

  constructor(options: DomainViewOptions) {
    this.#options = options;
    this.#follower = new TokenFollower({
      sources: options.sources,
      notices: options.notices,
      generation: () => this.#verified?.state.generation ?? 0,
      take: (tokens) => this.#take(tokens),
      pollMs: () => (this.#verified ? POLL_MS : FIRST_POLL_MS),
      onUnreachable: options.onProblem,
      onRefused: options.onProblem,
    });
  }

  get name(): string {
    return this.#options.anchor.domain;
  }

  /** The newest verified state and its token's hash. Undefined while `problem` gives the reason. */
  get verified(): VerifiedDomain | undefined {
    return this.problem === undefined ? this.#verified : undefined;
  }

  /** Why there is no state to rely on; undefined if there is one. */
  get problem(): string | undefined {
    const verified = this.#verified;
    if (verified === undefined) return 'no verified domain token yet';
    const { generation } = verified.state;
    for (const lowest of this.#checkpoints()) {
      if (reaches(verified, lowest)) continue;
      return `the domain-managers show domain token ${generation}, but token ${lowest.generation} was known here before`;
    }
    // It may say who was removed, so nothing before it is relied on any more.
    if (this.#untaken !== undefined && this.#untaken.generation > generation)
      return `domain token ${this.#untaken.generation} cannot be taken: ${this.#untaken.why}`;
    const found = this.#elsewhere.find((one) => this.#isMissing(one));
    if (found === undefined) return undefined;
    const { memberId } = found.member;
    return found.generation > generation
      ? `${memberId} has domain token ${found.generation}, but none after ${generation} can be found`
      : `${memberId} has another domain token ${found.generation} than the domain-managers show: the domain is forked`;
  }

  /** Called as soon as a member has left: nothing that it sends is taken any more. */
  onRemoval(listener: () => void): void {
    this.#onRemoval.push(listener);
  }

  get state(): DomainState | undefined {
    return this.verified?.state;
  }

  /**
   * A frontend that is behind, or on a fork, may not know who was removed, so it stops. A lying member can cause this
   * until it is removed. A member that is behind itself causes nothing.
   */
  noteOther(member: Member, proof: DomainProof): void {
    if (this.#hasInChain(proof)) return;
    const others = this.#elsewhere.filter((one) => one.member.memberId !== member.memberId);
    const before = this.#elsewhere.find((one) => one.member.memberId === member.memberId);
    const { generation, tokenHash } = proof;
    this.#elsewhere = [...others, { member, generation, tokenHash, since: before?.since ?? performance.now() }];
    this.look();
  }

  #hasInChain({ generation, tokenHash }: DomainProof): boolean {
    const hash = this.#hashes[generation - 1];
    return hash !== undefined && Buffer.compare(hash, tokenHash) === 0;
  }

  #isMissing({ member, since }: Elsewhere): boolean {
    return isMember(this.#verified!.state, member) && performance.now() - since > BEHIND_MS;
  }

  #checkpoints(): Checkpoint[] {
    const { anchor, floor } = this.#options;
    return [anchor.checkpoint, floor.lowest].filter((one) => one !== undefined);
  }

  /** Looks now. If called during a look, looks once more afterwards. */
  look(): void {
    this.#follower.look();
  }

  /** Resolves when newer tokens have been taken, or when every domain-manager has answered or failed. */
  refresh(): Promise<void> {
    return this.#follower.refresh();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#follower[Symbol.asyncDispose]();
  }

  /** Throws for a token that does not verify, and keeps those verified before it. */
  async #take(tokens: readonly Uint8Array[]): Promise<void> {
    const { anchor, floor } = this.#options;
    for (const bytes of tokens) {
      const verified = follow(anchor, this.#verified, parseToken(bytes));
      assertComesBy(floor.lowest, verified);
      try {
        assertNotFromFuture(verified, systemClock.now());
        await floor.raise(verified);
      } catch (error) {
        this.#untaken = { generation: verified.state.generation, why: (error as Error).message };
        throw error;
      }
      this.#verified = verified;
      this.#hashes.push(verified.hash);
      this.#elsewhere = this.#elsewhere.filter((one) => !this.#hasInChain(one));
      const { state } = verified;
      if (newestAfterRemoval(state)?.createdGeneration === state.generation) for (const hear of this.#onRemoval) hear();
    }
  }
}
