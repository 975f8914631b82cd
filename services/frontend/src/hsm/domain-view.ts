import { setTimeout as delay } from 'node:timers/promises';
import { DomainError } from '@keyfleet/shared/domain/domain-error';
import type { DomainState, Member, VerifiedDomain } from '@keyfleet/shared/domain/state';
import type { TrustAnchor } from '@keyfleet/shared/domain/trust-anchor';
import type { Notices } from '@keyfleet/shared/notices';
import { SayOnce } from '@keyfleet/shared/say-once';
import { TokenFollower, type TokenSource } from '@keyfleet/shared/token-follower';
import { TokenBringer } from './bring-tokens.ts';
import { type ChosenToken, chooseToken, mayProve } from './chosen-token.ts';
import type { DomainFloor } from './domain-floor.ts';
import { FirstLook } from './first-look.ts';
import { HeardTokens } from './heard-tokens.ts';
import type { DomainProof, KnownDomain } from './known-domain.ts';
import { MissingTokens } from './missing-tokens.ts';
import { isNewer, Proofs } from './proofs.ts';
import { cannotBeTaken, removesAny, ShownChain } from './shown-chain.ts';

const POLL_MS = 3000;
/** Nothing works until there is a state. */
const AGAIN_MS = 200;
/** How long it may take to find the token that a member has. */
const BEHIND_MS = 5000;
/** How long members may take to prove a token before somebody is told. They have it within seconds. */
const UNPROVEN_MS = 60_000;
/** How long a caller waits for that. Streams on which members prove what they have open in much less. */
const PROOF_MS = 1500;
const PROOF_LOOK_MS = 20;

export interface DomainViewOptions {
  readonly anchor: TrustAnchor;
  readonly floor: DomainFloor;
  /** The domain-managers. */
  readonly managers: readonly TokenSource[];
  /** Redis, which shows what nobody else hides, and of which nobody believes that it shows all. */
  readonly stored?: TokenSource;
  /** How many addresses of workers there are. */
  readonly workers: number;
  readonly notices: Pick<Notices, 'subscribe'>;
  /**
   * A source could not be reached, served a token that does not verify, or one that no member has. A repeated problem
   * is reported once.
   */
  readonly onProblem: (address: string, error: unknown) => void;
}

/**
 * This frontend's own verified copy of the public domain state. Whoever shows a token may have had it made and given to
 * nobody else: a token that verifies is only *heard*. Whom it removes is not used any more. Once a member has proven to
 * have it, it counts, and once a second one has, it is *relied on*: written into the floor, and no other is taken.
 */
export class DomainView implements KnownDomain, AsyncDisposable {
  readonly #options: DomainViewOptions;
  readonly #managers: readonly ShownChain[];
  /** Those of the domain-managers, and what is stored. */
  readonly #chains: readonly ShownChain[];
  readonly #heard: HeardTokens;
  readonly #missing: MissingTokens;
  readonly #first: FirstLook;
  readonly #bringer: TokenBringer;
  readonly #follower: TokenFollower<ShownChain>;
  readonly #timer: NodeJS.Timeout;
  readonly #said = new SayOnce();
  readonly #proofs = new Proofs((one, other) => this.#heard.follows(one, other));
  /** The newest that two members have proven to have since the start. */
  #proven: VerifiedDomain | undefined;
  /** The same, or until then what all sources agree on. */
  #relied: VerifiedDomain | undefined;
  /** The newest after that which a member has proven, or which removes somebody. */
  #chosen: ChosenToken | undefined;
  /** The last that was that, although nothing is now. */
  #used: VerifiedDomain | undefined;
  /** Why that is not to be relied on. */
  #trouble: string | undefined;
  #relying: Promise<unknown> = Promise.resolve();
  readonly #onRemoval: (() => void)[] = [];

  constructor(options: DomainViewOptions) {
    this.#options = options;
    const { anchor, floor, managers, stored, notices, onProblem } = options;
    const { lowest } = floor;
    const deps = { anchor, lowest, verified: new Set<string>() };
    this.#managers = managers.map((source) => new ShownChain(source, deps));
    this.#chains = [...this.#managers, ...(stored === undefined ? [] : [new ShownChain(stored, deps)])];
    this.#heard = new HeardTokens(this.#chains);
    this.#missing = new MissingTokens(this.#heard);
    this.#first = new FirstLook(this.#chains, this.#managers, [anchor.checkpoint, lowest]);
    this.#bringer = new TokenBringer(this.#managers, this.#chains, onProblem);
    this.#follower = new TokenFollower({
      sources: this.#chains,
      notices,
      generation: ({ generation }) => generation,
      take: async (tokens, chain) => this.#take(chain, tokens),
      pollMs: () => (this.#current === undefined ? AGAIN_MS : POLL_MS),
      onUnreachable: onProblem,
      onRefused: onProblem,
    });
    this.#timer = setInterval(() => this.#tick(), AGAIN_MS).unref();
  }

  get anchor(): TrustAnchor {
    return this.#options.anchor;
  }

  get name(): string {
    return this.anchor.domain;
  }

  /** The newest verified state to rely on and its token's hash. Undefined while `problem` gives the reason. */
  get verified(): VerifiedDomain | undefined {
    return this.problem === undefined ? this.#current : undefined;
  }

  get state(): DomainState | undefined {
    return this.verified?.state;
  }

  get provers(): readonly Member[] {
    return this.problem === undefined ? (this.#chosen?.provers ?? []) : [];
  }

  /** See `ChosenToken`. */
  get isOfOne(): boolean {
    return this.#chosen?.isOfOne === true;
  }

  /** Of the newest token that members have proven to have; people may have said so, or it was before a restart. */
  get provenGeneration(): number {
    const { anchor, floor } = this.#options;
    const { generation = 0 } = this.#proven?.state ?? {};
    return Math.max(generation, floor.lowest?.generation ?? 0, anchor.checkpoint?.generation ?? 0);
  }

  /** Of that token in the chain that members have proven since the start; undefined if it is none of these. */
  provenHash(generation: number): Uint8Array | undefined {
    const proven = this.#proven;
    if (proven === undefined || generation > proven.state.generation) return undefined;
    return this.#heard.hashesUpTo(proven)[generation - 1];
  }

  /** Why there is no state to rely on; undefined if there is one. */
  get problem(): string | undefined {
    const current = this.#current;
    if (current === undefined) return this.#first.problem;
    if (this.#trouble !== undefined) return this.#trouble;
    // Until two members have proven what is shown, it may be the domain as it was before a removal.
    return this.#missing.problemOf(current, this.#proven === undefined ? 0 : BEHIND_MS);
  }

  get unprovenMs(): number | undefined {
    const heard = this.#unproven.map(({ heardAt }) => heardAt);
    return heard.length === 0 ? undefined : performance.now() - Math.max(...heard);
  }

  /** Called as soon as a member has left: nothing that it sends is taken any more. */
  onRemoval(listener: () => void): void {
    this.#onRemoval.push(listener);
  }

  /** One after the other: of two tokens of one generation, the first that two prove is relied on. */
  noteProof(member: Member, proof: DomainProof): Promise<boolean> {
    const done = this.#relying.then(() => this.#noteProof(member, proof));
    this.#relying = done.catch(() => {});
    return done;
  }

  /** Looks now. If called during a look, looks once more afterwards. */
  look(): void {
    this.#follower.look();
  }

  /** Resolves when newer tokens have been heard, or when every source has answered or failed. */
  hear(): Promise<void> {
    return this.#follower.refresh();
  }

  /** The same, and waits a moment until a member has proven them. */
  async refresh(): Promise<void> {
    await this.hear();
    const isHeardOnly = (): boolean => {
      const { generation = Infinity } = this.#current?.state ?? {};
      return generation < this.#heard.generation && (this.unprovenMs ?? Infinity) < UNPROVEN_MS;
    };
    for (let ms = 0; ms < PROOF_MS && isHeardOnly(); ms += PROOF_LOOK_MS) await delay(PROOF_LOOK_MS);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#timer);
    await this.#follower[Symbol.asyncDispose]();
    await this.#relying;
  }

  get #current(): VerifiedDomain | undefined {
    return this.#chosen?.token;
  }

  /** Until two members have proven something, streams are being opened anyway. */
  get #unproven(): readonly ShownChain[] {
    const proven = this.#proven;
    return proven === undefined ? [] : this.#heard.after(proven);
  }

  /** Throws for a token that does not verify, and keeps those verified before it. */
  #take(chain: ShownChain, tokens: readonly Uint8Array[]): void {
    try {
      chain.take(tokens);
    } catch (error) {
      // The next time it may show the genuine chain.
      const mayBeGenuine = error instanceof DomainError && chain.untaken === undefined;
      if (this.#relied === undefined && mayBeGenuine && this.#managers.includes(chain)) chain.startAnew();
      throw error;
    } finally {
      this.#goOn();
      this.#judge();
    }
  }

  #tick(): void {
    this.#bringer.bring();
    if (this.#proven === undefined) this.#judge();
    for (const { address, generation, newest, heardAt } of this.#unproven) {
      if (performance.now() - heardAt < UNPROVEN_MS) continue;
      const holder = this.#proofs.holderOf(newest!);
      const who = holder === undefined ? 'no hsm-worker in reach has' : `of the hsm-workers ${holder} alone has shown`;
      const error = new Error(`it shows domain token ${generation}, which ${who}: it is not relied on`);
      if (this.#said.isNew(address, error)) this.#options.onProblem(address, error);
    }
  }

  #judge(): void {
    const relied = (this.#relied = this.#proven ?? this.#first.agreed());
    this.#heard.countFrom(relied);
    this.#chosen = relied === undefined ? undefined : chooseToken(relied, this.#heard, this.#proofs);
    this.#trouble = this.#whatTroubles();
    this.#missing.forgetShown();
    if (this.#current === undefined) return;
    const before = this.#used ?? this.#current;
    this.#used = this.#current;
    if (removesAny(before, this.#used)) for (const hear of this.#onRemoval) hear();
  }

  #whatTroubles(): string | undefined {
    // It may say who was removed, so nothing before it is relied on any more.
    const { untaken } = this.#heard;
    if (untaken !== undefined) return untaken.why;
    if (this.#current?.state.members.length !== 0) return undefined;
    return 'two domain tokens are shown, each of which removes the members that the other leaves';
  }

  async #noteProof(member: Member, proof: DomainProof): Promise<boolean> {
    // It may have been removed meanwhile.
    if (this.#chosen === undefined || !mayProve(this.#chosen, member)) return false;
    const token = this.#relied === undefined ? undefined : this.#heard.find(proof, this.#relied);
    if (token === undefined) {
      if (!this.#heard.shows(proof)) {
        this.#missing.note(member, proof);
        this.look();
      }
      return false;
    }
    this.#proofs.note(member, token);
    this.#judge();
    // A hostile member may have made a token for itself. Where there is only one to ask, its word counts.
    const [relied, chosen, isFirst] = [this.#relied!, this.#chosen, this.#proven === undefined];
    const beside = (one: VerifiedDomain) => this.#heard.besides(one, relied);
    // Who is out proves nothing. The people of the token before signed that, but may have given it up, and then to wait
    // for him would be for ever. Before the first token is proven they may be people of long ago.
    const waitsFor = (one: Member) => isFirst || mayProve(chosen, one);
    const proven = this.#proofs.newestOf(chosen.provers, Math.min(2, this.#options.workers), beside, waitsFor);
    if (proven !== undefined && (this.#proven === undefined || isNewer(proven, this.#proven))) await this.#rely(proven);
    return true;
  }

  async #rely(next: VerifiedDomain): Promise<void> {
    try {
      await this.#options.floor.raise(next);
    } catch (error) {
      throw new Error(cannotBeTaken(next, error), { cause: error });
    }
    this.#proven = next;
    this.#goOn();
    this.#judge();
  }

  /** What a source shows in the place of a token that members have proven is not taken. */
  #goOn(): void {
    const proven = this.#proven;
    if (proven === undefined) return;
    for (const { address } of this.#heard.allGoOnFrom(proven)) {
      const { generation } = proven.state;
      const error = new Error(`it showed another domain token ${generation} than the one that hsm-workers have`);
      this.#options.onProblem(address, error);
    }
  }
}
