import { setTimeout as delay } from 'node:timers/promises';
import { systemClock } from '@keyfleet/shared/clock';
import { assertComesBy, assertNotFromFuture, follow, reaches } from '@keyfleet/shared/domain/chain';
import { DomainError } from '@keyfleet/shared/domain/domain-error';
import type { VerifiedDomain } from '@keyfleet/shared/domain/state';
import { type DomainToken, parseToken } from '@keyfleet/shared/domain/token';
import type { Checkpoint, TrustAnchor } from '@keyfleet/shared/domain/trust-anchor';
import { SayOnce } from '@keyfleet/shared/say-once';
import { SingleFlight } from '@keyfleet/shared/single-flight';
import type { TokenSource } from '@keyfleet/shared/token-follower';

/** Nothing works until there is a chain. */
const LOOK_EVERY_MS = 200;
/** A domain-manager that shows nothing for this long is not waited for, once another has shown all that it has. */
const SILENT_MS = 3_000;
/** Nor is one that shows its chain a token at a time. */
const AT_MOST_MS = 30_000;

/** The domain's tokens, verified from the founding one on. */
export interface Chain {
  readonly newest: VerifiedDomain;
  /** Indexed by generation - 1. */
  readonly hashes: readonly Uint8Array[];
}

export interface FirstLookOptions {
  readonly anchor: TrustAnchor;
  /** The newest token that was relied on here before. */
  readonly lowest: Checkpoint | undefined;
  readonly sources: readonly TokenSource[];
  readonly onProblem: (address: string, error: unknown) => void;
}

/**
 * What a frontend does before it relies on any state: it reads what every domain-manager shows, from the founding token
 * to the end. In the middle of the chain members stand that were removed later, and one that is still running would
 * pass for a worker; and one domain-manager may stop early, or show another token of a generation than the rest, which
 * its maker made twice.
 */
export class FirstLook {
  readonly #checkpoints: readonly Checkpoint[];
  readonly #shown: readonly ShownChain[];
  #problem = 'no verified domain token yet';

  constructor({ anchor, lowest, sources, onProblem }: FirstLookOptions) {
    this.#checkpoints = [anchor.checkpoint, lowest].filter((one) => one !== undefined);
    const verified = new Set<string>();
    this.#shown = sources.map((source) => new ShownChain(source, { anchor, lowest, verified, onProblem }));
  }

  /** Why there is no chain yet. */
  get problem(): string {
    return this.#problem;
  }

  /** The chain that all show who show one. Rejects only when `signal` aborts. */
  async run(signal: AbortSignal): Promise<Chain> {
    for (;;) {
      const reads = this.#shown.map((one) => one.read());
      await Promise.race([Promise.all(reads), this.#untilTheRestIsSilent(signal)]);
      signal.throwIfAborted();
      const chain = this.#agreed();
      if (chain !== undefined) return chain;
      await delay(LOOK_EVERY_MS, undefined, { signal });
    }
  }

  async #untilTheRestIsSilent(signal: AbortSignal): Promise<void> {
    for (let endedAt = Infinity; ; await delay(LOOK_EVERY_MS, undefined, { signal })) {
      const now = performance.now();
      const reading = this.#shown.filter((one) => one.isReading);
      if (this.#shown.some((one) => one.hasEnded)) endedAt = Math.min(endedAt, now);
      const isSilent = reading.every(({ heardAt }) => now - Math.max(heardAt, endedAt) > SILENT_MS);
      if (isSilent || now - endedAt > AT_MOST_MS) return;
    }
  }

  #agreed(): Chain | undefined {
    const shown = this.#shown.filter((one) => one.last !== undefined);
    const known = shown.filter(({ last }) => this.#checkpoints.every((lowest) => reaches(last!, lowest)));
    const [longest] = known
      .filter(({ hasEnded }) => hasEnded)
      .toSorted((one, other) => other.generation - one.generation);
    // A token after all others may say who was removed, so nothing before it is relied on. Anybody can date one of an
    // earlier generation ahead: it is another chain, of which the checkpoints judge.
    const untaken = (longest === undefined ? shown : known).find(
      (one) => one.untaken !== undefined && one.generation >= (longest?.generation ?? 0),
    );
    if (untaken !== undefined) return this.#without(untaken.untaken!.why);
    if (longest === undefined) return this.#without(this.#tooShort(shown));
    for (const other of known) {
      const generation = firstDifference(longest.hashes, other.allHashes);
      if (generation === undefined) continue;
      return this.#without(
        `${longest.address} and ${other.address} show two domain tokens ${generation}: one of these domain-managers is not to be trusted. 'keyfleet domain checkpoint' writes into the trust anchor which one counts`,
      );
    }
    return { newest: longest.newest!, hashes: longest.hashes };
  }

  #tooShort(shown: readonly ShownChain[]): string {
    const generation = Math.max(0, ...shown.map((one) => one.generation));
    const lowest = this.#checkpoints.find((one) => generation < one.generation);
    if (generation === 0 || lowest === undefined) return 'no verified domain token yet';
    return `the domain-managers show domain token ${generation}, but token ${lowest.generation} was known here before`;
  }

  #without(problem: string): undefined {
    this.#problem = problem;
  }
}

interface ShownChainDeps extends Pick<FirstLookOptions, 'anchor' | 'lowest' | 'onProblem'> {
  /** The hashes of all tokens that were verified, whoever showed them: a token's hash covers those before it. */
  readonly verified: Set<string>;
}

/** What one domain-manager shows. */
class ShownChain {
  readonly #source: TokenSource;
  readonly #deps: ShownChainDeps;
  readonly #reading = new SingleFlight<void>();
  readonly #said = new SayOnce();
  #newest: VerifiedDomain | undefined;
  #hashes: Uint8Array[] = [];
  isReading = false;
  hasEnded = false;
  /** As `performance.now()`: when it last showed a token. */
  heardAt = performance.now();
  /** A token that follows and verifies, and is not taken. */
  untaken: { readonly token: VerifiedDomain; readonly why: string } | undefined;

  constructor(source: TokenSource, deps: ShownChainDeps) {
    this.#source = source;
    this.#deps = deps;
  }

  get address(): string {
    return this.#source.address;
  }

  get newest(): VerifiedDomain | undefined {
    return this.#newest;
  }

  get hashes(): readonly Uint8Array[] {
    return this.#hashes;
  }

  /** Of the newest token that is taken. */
  get generation(): number {
    return this.#hashes.length;
  }

  /** The newest token, taken or not. */
  get last(): VerifiedDomain | undefined {
    return this.untaken?.token ?? this.#newest;
  }

  get allHashes(): readonly Uint8Array[] {
    return this.untaken === undefined ? this.#hashes : [...this.#hashes, this.untaken.token.hash];
  }

  /** To its end, or to what cannot be taken. */
  read(): Promise<void> {
    return this.#reading.run(async () => {
      this.isReading = true;
      this.hasEnded = false;
      this.untaken = undefined;
      try {
        await this.#readOn();
      } catch (error) {
        if (this.#said.isNew(this.address, error)) this.#deps.onProblem(this.address, error);
        // The next time it may show the genuine chain.
        if (error instanceof DomainError && this.untaken === undefined) this.#startAnew();
      } finally {
        this.isReading = false;
      }
    });
  }

  async #readOn(): Promise<void> {
    for (;;) {
      const page = await this.#source.fetch(this.generation);
      this.hasEnded = page.length === 0;
      if (this.hasEnded) return this.#said.over(this.address);
      this.heardAt = performance.now();
      for (const token of page) this.#take(token);
    }
  }

  #startAnew(): void {
    this.#newest = undefined;
    this.#hashes = [];
  }

  #take(bytes: Uint8Array): void {
    const { anchor, lowest, verified } = this.#deps;
    const token = parseToken(bytes);
    const id = token.hash.toString('hex');
    const next = verified.has(id) && this.#isNext(token) ? token : follow(anchor, this.#newest, token);
    assertComesBy(lowest, next);
    try {
      assertNotFromFuture(next, systemClock.now());
    } catch (error) {
      this.untaken = { token: next, why: cannotBeTaken(next, error) };
      throw error;
    }
    verified.add(id);
    const { state, hash } = next;
    this.#newest = { state, hash };
    this.#hashes.push(hash);
  }

  #isNext({ previousHash }: DomainToken): boolean {
    if (this.#newest === undefined) return previousHash === undefined;
    return previousHash !== undefined && Buffer.compare(previousHash, this.#newest.hash) === 0;
  }
}

export function cannotBeTaken({ state }: Pick<VerifiedDomain, 'state'>, error: unknown): string {
  return `domain token ${state.generation} cannot be taken: ${(error as Error).message}`;
}

/** The generation from which two chains differ; undefined if one is the beginning of the other. */
function firstDifference(one: readonly Uint8Array[], other: readonly Uint8Array[]): number | undefined {
  const at = one.findIndex((hash, i) => Buffer.compare(hash, other[i] ?? hash) !== 0);
  return at < 0 ? undefined : at + 1;
}
