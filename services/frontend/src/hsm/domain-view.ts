import { setTimeout as delay } from 'node:timers/promises';
import { systemClock } from '@keyfleet/shared/clock';
import { assertComesBy, assertNotFromFuture, follow } from '@keyfleet/shared/domain/chain';
import {
  type DomainState,
  isMember,
  type Member,
  newestAfterRemoval,
  type VerifiedDomain,
} from '@keyfleet/shared/domain/state';
import { parseToken } from '@keyfleet/shared/domain/token';
import type { TrustAnchor } from '@keyfleet/shared/domain/trust-anchor';
import type { Notices } from '@keyfleet/shared/notices';
import { TokenFollower, type TokenSource } from '@keyfleet/shared/token-follower';
import type { DomainFloor } from './domain-floor.ts';
import { cannotBeTaken, type Chain, FirstLook } from './first-look.ts';
import type { DomainProof, KnownDomain } from './known-domain.ts';

const POLL_MS = 3000;
/** Nothing works until the first state is there. */
const AGAIN_MS = 200;
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
  readonly #first: FirstLook;
  readonly #begun: Promise<void>;
  readonly #stop = new AbortController();
  /** Undefined during the first look. */
  #follower: TokenFollower | undefined;
  #verified: VerifiedDomain | undefined;
  /** Of the tokens of the chain: indexed by generation - 1. */
  #hashes: readonly Uint8Array[] = [];
  #elsewhere: readonly Elsewhere[] = [];
  readonly #onRemoval: (() => void)[] = [];
  /** A token that follows and verifies, and that this frontend could not take. */
  #untaken: { readonly generation: number; readonly why: string } | undefined;

  constructor(options: DomainViewOptions) {
    this.#options = options;
    const { anchor, floor, sources, onProblem } = options;
    this.#first = new FirstLook({ anchor, lowest: floor.lowest, sources, onProblem });
    this.#begun = this.#begin().catch((error: unknown) => {
      if (!this.#stop.signal.aborted) throw error;
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
    if (verified === undefined) return this.#untaken?.why ?? this.#first.problem;
    const { generation } = verified.state;
    // It may say who was removed, so nothing before it is relied on any more.
    if (this.#untaken !== undefined && this.#untaken.generation > generation) return this.#untaken.why;
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

  /** Looks now. If called during a look, looks once more afterwards. */
  look(): void {
    this.#follower?.look();
  }

  /** Resolves when newer tokens have been taken, or when every domain-manager has answered or failed. */
  refresh(): Promise<void> {
    return this.#follower?.refresh() ?? Promise.resolve();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await this.#begun;
    if (this.#follower !== undefined) await this.#follower[Symbol.asyncDispose]();
    else for (const { close } of this.#options.sources) close();
  }

  async #begin(): Promise<void> {
    const { sources, notices, onProblem } = this.#options;
    const { signal } = this.#stop;
    for (let found: Chain | undefined; found === undefined;) {
      found = await this.#first.run(signal);
      try {
        await this.#keep(found.newest, found.hashes);
      } catch {
        // `problem` says why.
        found = undefined;
        await delay(AGAIN_MS, undefined, { signal });
      }
    }
    this.#follower = new TokenFollower({
      sources,
      notices,
      generation: () => this.#hashes.length,
      take: (tokens) => this.#take(tokens),
      pollMs: () => POLL_MS,
      onUnreachable: onProblem,
      onRefused: onProblem,
    });
  }

  /** Throws for a token that does not verify, and keeps those verified before it. */
  async #take(tokens: readonly Uint8Array[]): Promise<void> {
    const { anchor, floor } = this.#options;
    for (const bytes of tokens) {
      const next = follow(anchor, this.#verified, parseToken(bytes));
      assertComesBy(floor.lowest, next);
      await this.#keep(next, [...this.#hashes, next.hash]);
      const { state } = next;
      if (newestAfterRemoval(state)?.createdGeneration === state.generation) for (const hear of this.#onRemoval) hear();
    }
  }

  async #keep(next: VerifiedDomain, hashes: readonly Uint8Array[]): Promise<void> {
    try {
      assertNotFromFuture(next, systemClock.now());
      await this.#options.floor.raise(next);
    } catch (error) {
      this.#untaken = { generation: next.state.generation, why: cannotBeTaken(next, error) };
      throw error;
    }
    this.#verified = next;
    this.#hashes = hashes;
    this.#elsewhere = this.#elsewhere.filter((one) => !this.#hasInChain(one));
  }
}
