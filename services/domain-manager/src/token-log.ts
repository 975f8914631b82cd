import type { Clock } from '@keyfleet/shared/clock';
import { assertNotFromFuture, follow, followMade } from '@keyfleet/shared/domain/chain';
import { DomainError } from '@keyfleet/shared/domain/domain-error';
import { proposalId } from '@keyfleet/shared/domain/proposal';
import type { VerifiedDomain } from '@keyfleet/shared/domain/state';
import { type DomainToken, parseToken, tokenHash, withWitness } from '@keyfleet/shared/domain/token';
import type { TrustAnchor } from '@keyfleet/shared/domain/trust-anchor';
import { unlessDamaged } from '@keyfleet/shared/redis/stored-values';
import { SingleFlight } from '@keyfleet/shared/single-flight';
import { tokensAt } from '@keyfleet/shared/stored/names';
import type { TokenStore } from './store/store.ts';

/** The newest token, verified from the trust anchor. */
export interface Head extends VerifiedDomain {
  readonly token: Buffer;
  /** The proposal that caused it. */
  readonly proposalId: string;
}

/** The stored tokens contradict the trust anchor or the chain. An operator must resolve this. */
export class TokenLogError extends Error {
  override name = 'TokenLogError';
}

export interface TokenLogOptions {
  readonly store: TokenStore;
  readonly anchor: TrustAnchor;
  readonly clock: Clock;
  /** For measuring durations. */
  readonly monotonicClock: Clock;
  /** The store had lost tokens, and this replica, which still held them, stored them again. */
  readonly onRestored?: (from: number, to: number) => void;
  /** The store had something else in the place of that token, and this replica put the token back. */
  readonly onPutBack?: (generation: number) => void;
}

const LOAD_COUNT = 64;
/** Size of one answer; a single token may be larger. */
const PAGE_BYTES = 1024 * 1024;

type Verified = Pick<Head, 'token' | 'proposalId'>;

/** The domain's tokens: append-only in the store, each verified here before it is stored or passed on. */
export class TokenLog {
  readonly #store: TokenStore;
  readonly #anchor: TrustAnchor;
  readonly #clock: Clock;
  readonly #monotonicClock: Clock;
  readonly #onRestored: (from: number, to: number) => void;
  readonly #onPutBack: (generation: number) => void;
  readonly #tokens: Buffer[] = [];
  /**
   * By the monotonic clock; indexed by generation - 1. Not stored: a token's own time is its maker's claim, and anyone
   * who writes to the store could change a stored one.
   */
  readonly #seenAt: number[] = [];
  readonly #generationOf = new Map<string, number>();
  #head: Head | undefined;
  readonly #refreshing = new SingleFlight<void>();
  /** The generation whose stored token was last compared. */
  #compared = 0;

  constructor({ store, anchor, clock, monotonicClock, onRestored = () => {}, onPutBack = () => {} }: TokenLogOptions) {
    this.#store = store;
    this.#anchor = anchor;
    this.#clock = clock;
    this.#monotonicClock = monotonicClock;
    this.#onRestored = onRestored;
    this.#onPutBack = onPutBack;
  }

  /** Undefined before the ceremony. */
  get head(): Head | undefined {
    return this.#head;
  }

  /** 0 before the ceremony. */
  get generation(): number {
    return this.#tokens.length;
  }

  /** Reads what others have stored. Concurrent callers share one read. Throws TokenLogError, or the store's error. */
  refresh(): Promise<void> {
    return this.#refreshing.run(() => this.#readStore());
  }

  /**
   * Compares one stored token with the one here, each in its turn, and puts back what somebody replaced: services go on
   * from memory, and whoever starts, or restores a backup, could follow no further than there. Throws TokenLogError if
   * another genuine token stands there, or the store's error; the next call looks there again.
   */
  async compareOne(): Promise<void> {
    if (this.generation === 0) return;
    const generation = this.#compared >= this.generation ? 1 : this.#compared + 1;
    const stored = await this.#store.findToken(generation);
    // What is missing at the end, a refresh stores again.
    if (stored !== undefined && !this.#isKnown(generation, stored)) await this.#restoreStore();
    this.#compared = generation;
  }

  /**
   * For how many milliseconds this replica has had the token of that generation: a duration, which is no longer because
   * a clock was set or the machine was suspended.
   */
  seenForMs(generation: number): number {
    const now = this.#monotonicClock.now();
    return now - (this.#seenAt[generation - 1] ?? now);
  }

  /** The generation that the proposal made, if any. */
  generationOf(proposal: string): number | undefined {
    return this.#generationOf.get(proposal);
  }

  /** A page of verified tokens after a generation, oldest first; empty at the end. */
  page(after: number): Buffer[] {
    const page: Buffer[] = [];
    let size = 0;
    for (const token of this.#tokens.slice(after, after + LOAD_COUNT)) {
      size += token.length;
      if (page.length > 0 && size > PAGE_BYTES) break;
      page.push(token);
    }
    return page;
  }

  /**
   * Stores what a member made, with its witness. False if another replica stored this generation first. Throws
   * TokenLogError if `token` does not follow the head, and whatever `witnessOf` throws, which returns undefined if the
   * token needs no witness.
   */
  async append(token: Buffer, witnessOf: (made: DomainToken) => Promise<Uint8Array | undefined>): Promise<boolean> {
    const before = this.#head;
    const { made } = this.#verify(token, before, followMade);
    const witness = await witnessOf(made);
    const next = this.#verify(witness === undefined ? token : withWitness(made, witness), before);
    const { generation } = next.state;
    if (!(await this.#store.appendToken(generation, next.token))) return false;
    this.#take(generation, [next]);
    return true;
  }

  async #readStore(): Promise<void> {
    const before = this.#head;
    // Starts at the head: if that differs, the store was rolled back or changed.
    const from = Math.max(this.generation - 1, 0);
    const found: Verified[] = [];
    const take = async (): Promise<void> => {
      if (found.length === 0) return;
      await this.#store.confirmTokens();
      this.#take((before?.state.generation ?? 0) + 1, found);
    };
    for (let at = from, newest = before; ; at += LOAD_COUNT) {
      const page = await this.#load(at, LOAD_COUNT);
      if (page === undefined) {
        await take();
        return this.#restoreList();
      }
      const hasKnown = at === from && before !== undefined;
      if (hasKnown && (page[0] === undefined || !this.#isKnown(before.state.generation, page[0])))
        return this.#restoreStore();
      for (const token of hasKnown ? page.slice(1) : page) {
        try {
          newest = this.#verify(token, newest);
        } catch (error) {
          // Whoever writes to the store may have put it there, and those before it count all the same.
          await take();
          throw error;
        }
        // Not its state: that of each token is as large as the token, and only the last one's is needed.
        found.push({ token, proposalId: newest.proposalId });
      }
      if (page.length < LOAD_COUNT) break;
    }
    await take();
  }

  /** Undefined if something else stands in the place of all tokens. */
  #load(after: number, limit: number): Promise<Buffer[] | undefined> {
    return this.#store.loadTokens(after, limit).catch((error: unknown) => unlessDamaged(error));
  }

  /** What is read while it is appended comes twice. */
  #take(first: number, found: readonly Verified[]): void {
    for (const [index, { token, proposalId }] of found.entries()) {
      const generation = first + index;
      if (generation !== this.generation + 1) continue;
      this.#tokens.push(token);
      this.#seenAt.push(this.#monotonicClock.now());
      this.#generationOf.set(proposalId, generation);
    }
    this.#head = headOf(this.#tokens.at(-1));
  }

  /**
   * The store lacks tokens that it acknowledged: an older backup was restored underneath us, or somebody put something
   * else in their place. They are stored again: members hold them, and nobody could follow the chain without them.
   */
  async #restoreStore(): Promise<void> {
    let generation = 0;
    // From the first one on: what stands after a token that is put back does not follow it.
    for (let stored; (stored = await this.#store.findToken(generation + 1)) !== undefined;) {
      // More than this replica holds: another restored it first, and the next refresh reads on.
      if (++generation > this.generation) return;
      if (!this.#isKnown(generation, stored) && !(await this.#putBack(generation, stored))) return;
    }
    const lost = this.#tokens.slice(generation);
    for (const [index, token] of lost.entries()) {
      // False: another replica does the same, or this is not the store that had them. If it stored anything else, the
      // next refresh says so.
      if (!(await this.#store.restoreToken(generation + 1 + index, token))) return;
    }
    if (lost.length > 0) this.#onRestored(generation + 1, generation + lost.length);
  }

  /** Something else stands in the place of all tokens. Throws TokenLogError if it still does afterwards. */
  async #restoreList(): Promise<void> {
    if (this.generation === 0) throw this.#noList('this replica has none to put back');
    await this.#restoreStore().catch((cause) => {
      throw this.#noList(`they could not be put back: ${(cause as Error).message}`, cause);
    });
    if ((await this.#load(0, 1)) !== undefined) return;
    throw this.#noList('this is not the store that had them, as far as this replica knows');
  }

  #noList(why: string, cause?: unknown): TokenLogError {
    return new TokenLogError(
      `something else stands in the place of the domain tokens (${tokensAt(this.#anchor.domain)}), and ${why}: docs/recovery.md, "A domain token that is none"`,
      { cause },
    );
  }

  /** False if this is not the store that had it, or something else stands there by now. */
  async #putBack(generation: number, stored: Buffer): Promise<boolean> {
    // Made and witnessed by members: of two such tokens no machine decides which one counts.
    if (this.#follows(generation, stored)) throw changedStore(generation);
    const isDone = await this.#store.replaceToken(generation, stored, this.#tokens[generation - 1]!).catch((cause) => {
      throw new TokenLogError(
        `something else stands in the place of domain token ${generation}, and it could not be put back: ${(cause as Error).message}`,
        { cause },
      );
    });
    if (isDone) this.#onPutBack(generation);
    return isDone;
  }

  /**
   * Whether this is the token that this replica has. After the store lost that, another replica may have had the same
   * stored with the word of another member: then that is how it is stored.
   */
  #isKnown(generation: number, stored: Buffer): boolean {
    const known = this.#tokens[generation - 1]!;
    if (stored.equals(known)) return true;
    if (!this.#follows(generation, stored) || !tokenHash(stored).equals(tokenHash(known))) return false;
    this.#tokens[generation - 1] = stored;
    this.#head = headOf(this.#tokens.at(-1));
    return true;
  }

  /** Whether it follows the token before it, as all who read it would find. */
  #follows(generation: number, stored: Buffer): boolean {
    try {
      follow(this.#anchor, headOf(this.#tokens[generation - 2]), parseToken(stored));
      return true;
    } catch (error) {
      if (error instanceof DomainError) return false;
      throw error;
    }
  }

  #verify(token: Buffer, before: Head | undefined, verify: typeof follow = follow): Head & { made: DomainToken } {
    try {
      const made = parseToken(token);
      const verified = verify(this.#anchor, before, made);
      assertNotFromFuture(verified, this.#clock.now());
      return { ...verified, token, proposalId: proposalId(made.proposal), made };
    } catch (cause) {
      throw new TokenLogError(
        `token ${(before?.state.generation ?? 0) + 1} does not verify: ${(cause as Error).message}`,
        { cause },
      );
    }
  }
}

/** Of a token that was verified. */
function headOf(token: Buffer | undefined): Head | undefined {
  if (token === undefined) return undefined;
  const { state, hash, proposal } = parseToken(token);
  return { state, hash, token, proposalId: proposalId(proposal) };
}

function changedStore(generation: number): TokenLogError {
  return new TokenLogError(
    `the store holds another domain token ${generation} than before, and both are genuine (docs/recovery.md, "A domain token that is none"). Do not restart the domain-managers, which hold the one before`,
  );
}
