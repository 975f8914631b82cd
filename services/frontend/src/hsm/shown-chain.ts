import { hash as digest } from 'node:crypto';
import { systemClock } from '@keyfleet/shared/clock';
import { assertComesBy, assertNotFromFuture, follow } from '@keyfleet/shared/domain/chain';
import { parseDomainChange } from '@keyfleet/shared/domain/proposal';
import { isMember, newestAfterRemoval, type VerifiedDomain } from '@keyfleet/shared/domain/state';
import { type DomainToken, parseToken } from '@keyfleet/shared/domain/token';
import type { Checkpoint, TrustAnchor } from '@keyfleet/shared/domain/trust-anchor';
import { forMachines } from '@keyfleet/shared/domain/valid-state';
import type { TokenSource } from '@keyfleet/shared/token-follower';

/** A member has the newest token, or one of the last before it. States are large: not all of them are kept. */
const KEPT = 8;

export interface ShownChainDeps {
  readonly anchor: TrustAnchor;
  /** The newest token that was relied on here before. */
  readonly lowest: Checkpoint | undefined;
  /**
   * Of the bytes of all tokens that were verified, whoever showed them: a token's own hash covers those before it, but
   * neither its signature nor its witness.
   */
  readonly verified: Set<string>;
}

interface Kept extends VerifiedDomain {
  /** The whole token. Undefined where another source's chain is gone on from. */
  readonly bytes?: Uint8Array;
}

/** The domain's tokens as one source shows them, verified from the founding one on. */
export class ShownChain implements TokenSource {
  readonly address: string;
  readonly close: () => void;
  readonly store: TokenSource['store'];
  readonly #deps: ShownChainDeps;
  readonly #fetch: TokenSource['fetch'];
  /** Indexed by generation - 1. */
  #hashes: Uint8Array[] = [];
  #kept: Kept[] = [];
  #recalled: Kept | undefined;
  #isRecalling = false;
  #removal: VerifiedDomain | undefined;
  /** Of the newest token whose change is neither a rotation nor a retirement. */
  #changedByPeople = 0;
  /** Whether it shows more, or has not answered yet. */
  isReading = true;
  /** Whether it has shown a chain to its end. */
  hasEnded = false;
  /** As `performance.now()`: when it last showed a token, or was first asked. */
  heardAt = performance.now();
  /** A token that follows and verifies, and is not taken. */
  untaken: { readonly token: VerifiedDomain; readonly why: string } | undefined;

  constructor({ address, fetch, store, close }: TokenSource, deps: ShownChainDeps) {
    this.address = address;
    this.store = store;
    this.close = close;
    this.#fetch = fetch;
    this.#deps = deps;
  }

  readonly fetch = async (after: number): Promise<readonly Uint8Array[]> => {
    const page = await this.#fetch(after);
    this.isReading = page.length > 0;
    this.hasEnded ||= !this.isReading;
    return page;
  };

  get newest(): VerifiedDomain | undefined {
    return this.#kept.at(-1);
  }

  /** Of the newest token that is taken. */
  get generation(): number {
    return this.#hashes.length;
  }

  /** The newest token, taken or not. */
  get last(): VerifiedDomain | undefined {
    return this.untaken?.token ?? this.newest;
  }

  /** The newest token that removes a member or a service host. */
  get removal(): VerifiedDomain | undefined {
    return this.#removal;
  }

  /**
   * Whether people changed the domain in it after that generation, and not only its keys: rotations and retirements say
   * nothing about who is a member, whoever signed them, and a domain-manager can have most of them made.
   */
  isOfPeople(after: number): boolean {
    return this.#changedByPeople > after;
  }

  /** Whether people changed the domain in it since it parted from the other one. */
  isOfPeopleBeside(other: ShownChain): boolean {
    if (other === this) return false;
    const at = this.#hashes.findIndex((hash, i) => !other.contains({ generation: i + 1, hash }));
    return this.isOfPeople(at < 0 ? this.generation : at);
  }

  get allHashes(): readonly Uint8Array[] {
    return this.untaken === undefined ? this.#hashes : [...this.#hashes, this.untaken.token.hash];
  }

  contains({ generation, hash }: Checkpoint): boolean {
    const own = this.#hashes[generation - 1];
    return own !== undefined && Buffer.compare(own, hash) === 0;
  }

  /** The state that the token of this generation made, if it is one of the last, or was recalled. */
  at(generation: number): Kept | undefined {
    return [...this.#kept, this.#recalled].find((one) => one?.state.generation === generation);
  }

  /** Asks the source again for a token that is not kept any more. `at` has it soon, or never. */
  recall(generation: number): void {
    if (this.#isRecalling) return;
    this.#isRecalling = true;
    this.#fetch(generation - 1)
      .then(([bytes]) => {
        const { state, hash } = parseToken(bytes!);
        if (this.contains({ generation, hash })) this.#recalled = { state, hash, bytes: bytes! };
      })
      // It is asked again for as long as the token is looked for.
      .catch(() => {})
      .finally(() => (this.#isRecalling = false));
  }

  /** The token after this one, if it is one of the last. */
  next(after: VerifiedDomain): Uint8Array | undefined {
    return this.contains(checkpointOf(after)) ? this.at(after.state.generation + 1)?.bytes : undefined;
  }

  /** Throws for a token that does not verify or cannot be taken, and keeps those before it. */
  take(tokens: readonly Uint8Array[]): void {
    this.untaken = undefined;
    try {
      for (const token of tokens) this.#take(token);
    } catch (error) {
      this.isReading = false;
      throw error;
    }
  }

  startAnew(): void {
    this.#hashes = [];
    this.#kept = [];
    this.#recalled = undefined;
    this.#removal = undefined;
    this.#changedByPeople = 0;
    this.hasEnded = false;
  }

  /** Goes on from this token of another chain. */
  goOnFrom(newest: VerifiedDomain, { allHashes }: ShownChain): void {
    this.startAnew();
    this.untaken = undefined;
    this.#hashes = allHashes.slice(0, newest.state.generation);
    this.#kept = [newest];
  }

  #take(bytes: Uint8Array): void {
    const { anchor, lowest, verified } = this.#deps;
    const token = parseToken(bytes);
    const id = digest('sha256', bytes);
    const { state, hash } = verified.has(id) && this.#isNext(token) ? token : follow(anchor, this.newest, token);
    const next = { state, hash, bytes };
    assertComesBy(lowest, next);
    try {
      assertNotFromFuture(next, systemClock.now());
    } catch (error) {
      this.untaken = { token: next, why: cannotBeTaken(next, error) };
      throw error;
    }
    verified.add(id);
    this.#hashes.push(hash);
    this.#kept = [...this.#kept.slice(1 - KEPT), next];
    if (newestAfterRemoval(state)?.createdGeneration === state.generation) this.#removal = next;
    if (!forMachines.has(parseDomainChange(token.proposal.command).name)) this.#changedByPeople = state.generation;
    this.heardAt = performance.now();
  }

  #isNext({ previousHash }: DomainToken): boolean {
    if (this.newest === undefined) return previousHash === undefined;
    return previousHash !== undefined && Buffer.compare(previousHash, this.newest.hash) === 0;
  }
}

export function cannotBeTaken({ state }: VerifiedDomain, error: unknown): string {
  return `domain token ${state.generation} cannot be taken: ${(error as Error).message}`;
}

/** Whether somebody of `before` was removed since. Two removals may be of one generation. */
export function removesAny(before: VerifiedDomain, { state }: VerifiedDomain): boolean {
  const isGone = before.state.members.some((one) => !isMember(state, one));
  return isGone || newestAfterRemoval(before.state)?.id !== newestAfterRemoval(state)?.id;
}

export function checkpointOf({ state, hash }: VerifiedDomain): Checkpoint {
  return { generation: state.generation, hash };
}
