import type { Clock } from '@keyfleet/shared/clock';
import { assertNotFromFuture, follow } from '@keyfleet/shared/domain/chain';
import { proposalId } from '@keyfleet/shared/domain/proposal';
import type { VerifiedDomain } from '@keyfleet/shared/domain/state';
import { parseToken } from '@keyfleet/shared/domain/token';
import type { TrustAnchor } from '@keyfleet/shared/domain/trust-anchor';
import { setTimeout as delay } from 'node:timers/promises';
import { SingleFlight } from '@keyfleet/shared/single-flight';
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

/** Members deny a token that lies in the store. An operator must decide. */
export class DeniedTokenError extends TokenLogError {
  readonly generation: number;

  constructor(message: string, generation: number) {
    super(message);
    this.generation = generation;
  }
}

/** What members say of tokens that were found in the store. */
export interface Confirmation {
  /** The generation up to which they are to be believed. */
  readonly upTo: number;
  /** Whether a member confirms that one; otherwise nobody can say. */
  readonly isConfirmed: boolean;
}

export interface TokenLogOptions {
  readonly store: TokenStore;
  readonly anchor: TrustAnchor;
  /**
   * Asked about the tokens from the founding one on, when some were found in the store after the first `known`: anyone
   * who writes there may have put them there. If nobody can say, or not of all, it is asked again. Throws
   * DeniedTokenError for one of those that were found.
   */
  readonly confirmStored: (tokens: readonly Buffer[], known: number) => Promise<Confirmation>;
  readonly clock: Clock;
  /** For measuring durations. */
  readonly monotonicClock: Clock;
  /** The store had lost tokens, and this replica, which still held them, stored them again. */
  readonly onRestored?: (from: number, to: number) => void;
}

const LOAD_COUNT = 64;
/** Everyone who asks for tokens has the store read, and members are not asked about the same token each time. */
const ASK_AGAIN_MS = 5_000;
/** How long those who ask wait for the members' word of what was just found. A member may take fifteen seconds. */
const WAIT_MS = 1_000;
/** Size of one answer; a single token may be larger. */
const PAGE_BYTES = 1024 * 1024;

type Verified = Pick<Head, 'token' | 'proposalId'>;

interface Asked {
  readonly newest: Buffer;
  /** By the monotonic clock. */
  readonly at: number;
  readonly outcome: Promise<void>;
}

/** The domain's tokens: append-only in the store, each verified here before it is stored or passed on. */
export class TokenLog {
  readonly #store: TokenStore;
  readonly #anchor: TrustAnchor;
  readonly #confirmStored: TokenLogOptions['confirmStored'];
  readonly #clock: Clock;
  readonly #monotonicClock: Clock;
  readonly #onRestored: (from: number, to: number) => void;
  readonly #tokens: Buffer[] = [];
  /**
   * By the monotonic clock; indexed by generation - 1. Not stored: a token's own time is its maker's claim, and anyone
   * who writes to the store could change a stored one.
   */
  readonly #seenAt: number[] = [];
  readonly #generationOf = new Map<string, number>();
  #head: Head | undefined;
  /** The newest that was confirmed. */
  #confirmed = 0;
  /** The newest that is never given up. Those after it are believed because nobody could say anything of them. */
  #settled = 0;
  /** What was last asked about, and what came of it. */
  #asked: Asked | undefined;
  readonly #refreshing = new SingleFlight<void>();

  constructor({ store, anchor, confirmStored, clock, monotonicClock, onRestored = () => {} }: TokenLogOptions) {
    this.#store = store;
    this.#anchor = anchor;
    this.#confirmStored = confirmStored;
    this.#clock = clock;
    this.#monotonicClock = monotonicClock;
    this.#onRestored = onRestored;
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

  /**
   * A page of verified tokens after a generation, oldest first; empty at the end. Those that no member has confirmed
   * come one at a time, so that a member takes each that opens.
   */
  page(after: number): Buffer[] {
    const page: Buffer[] = [];
    let size = 0;
    for (const token of this.#tokens.slice(after, Math.max(after + 1, Math.min(after + LOAD_COUNT, this.#confirmed)))) {
      size += token.length;
      if (page.length > 0 && size > PAGE_BYTES) break;
      page.push(token);
    }
    return page;
  }

  /**
   * False if another replica stored this generation first. Throws TokenLogError if `token` does not follow the head,
   * and whatever `confirm` throws, which runs before the token is stored and returns a member's check of it: an empty
   * one if nobody is to be asked, undefined if nobody could be.
   */
  async append(token: Buffer, confirm: (next: Head) => Promise<Buffer | undefined>): Promise<boolean> {
    const next = this.#verify(token, this.#head);
    const { generation } = next.state;
    const check = await confirm(next);
    if (!(await this.#store.appendToken(generation, token, check))) return false;
    this.#take(generation, [next]);
    if (this.generation === generation) this.#settle(generation, check !== undefined);
    return true;
  }

  async #readStore(): Promise<void> {
    const before = this.#head;
    // Starts at the head: if that differs, the store was rolled back or changed.
    const from = Math.max(this.generation - 1, 0);
    const found: Verified[] = [];
    for (let at = from, newest = before; ; at += LOAD_COUNT) {
      const page = await this.#store.loadTokens(at, LOAD_COUNT);
      const hasKnown = at === from && before !== undefined;
      if (hasKnown && !page[0]?.equals(before.token)) {
        if (this.#settled < this.generation) return this.#readAgain();
        if (page.length > 0) throw changedStore(before.state.generation);
        return this.#restoreStore();
      }
      for (const token of hasKnown ? page.slice(1) : page) {
        newest = this.#verify(token, newest);
        // Not its state: that of each token is as large as the token, and only the last one's is needed.
        found.push({ token, proposalId: newest.proposalId });
      }
      if (page.length < LOAD_COUNT) break;
    }
    if (found.length > 0) await this.#store.confirmTokens();
    if (found.length > 0 || this.#confirmed < this.generation)
      await this.#ask((before?.state.generation ?? 0) + 1, found);
  }

  /** What was believed is not in the store any more. */
  #readAgain(): Promise<void> {
    this.#giveUpAfter(this.#settled);
    this.#asked = undefined;
    return this.#readStore();
  }

  /** Asks members about what was found, and about what was believed without them. Waits a moment for them. */
  async #ask(first: number, found: readonly Verified[]): Promise<void> {
    const tokens = [...this.#tokens.slice(0, first - 1), ...found.map(({ token }) => token)];
    const newest = tokens.at(-1)!;
    const now = this.#monotonicClock.now();
    if (!this.#asked?.newest.equals(newest) || now - this.#asked.at >= ASK_AGAIN_MS) {
      const believe = (upTo: number): boolean => {
        // Meanwhile the store may have lost them.
        if (this.#asked !== asked) return false;
        this.#giveUpAfter(Math.max(upTo, this.#settled));
        this.#take(first, found.slice(0, Math.max(upTo - first + 1, 0)));
        return true;
      };
      const outcome = this.#confirmStored(tokens, this.#settled).then(
        ({ upTo, isConfirmed }) => {
          if (believe(upTo) && isConfirmed) this.#settle(upTo, true);
        },
        (error: unknown) => {
          // Who denies a token holds those before it.
          if (error instanceof DeniedTokenError) believe(error.generation - 1);
          throw error;
        },
      );
      outcome.catch(() => {});
      const asked = { newest, at: now, outcome };
      this.#asked = asked;
    }
    await Promise.race([this.#asked.outcome, delay(WAIT_MS, undefined, { ref: false })]);
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

  #settle(generation: number, isConfirmed: boolean): void {
    this.#settled = Math.max(this.#settled, generation);
    if (isConfirmed) this.#confirmed = this.#settled;
  }

  #giveUpAfter(generation: number): void {
    if (this.generation <= generation) return;
    this.#tokens.length = generation;
    this.#seenAt.length = generation;
    for (const [proposal, made] of this.#generationOf) if (made > generation) this.#generationOf.delete(proposal);
    this.#head = headOf(this.#tokens.at(-1));
  }

  /**
   * The store holds fewer tokens than it acknowledged: an older backup was restored underneath us. If what it holds is
   * the beginning of our chain, the rest is appended again: members hold those tokens, and the domain could not
   * continue without them.
   */
  async #restoreStore(): Promise<void> {
    let generation = 0;
    for (let page: Buffer[]; (page = await this.#store.loadTokens(generation, LOAD_COUNT)).length > 0;) {
      for (const token of page) {
        const known = this.#tokens[generation];
        generation++;
        // More than this replica holds: another restored it first, and the next refresh reads on.
        if (known === undefined) return;
        if (!token.equals(known)) throw changedStore(generation);
      }
    }
    const lost = this.#tokens.slice(generation);
    for (const [index, token] of lost.entries()) {
      // False: another replica does the same, or this is not the store that had them. If it stored anything else, the
      // next refresh says so.
      if (!(await this.#store.restoreToken(generation + 1 + index, token))) return;
    }
    if (lost.length > 0) this.#onRestored(generation + 1, generation + lost.length);
  }

  #verify(token: Buffer, before: Head | undefined): Head {
    try {
      const parsed = parseToken(token);
      const verified = follow(this.#anchor, before, parsed);
      assertNotFromFuture(verified, this.#clock.now());
      return { ...verified, token, proposalId: proposalId(parsed.proposal) };
    } catch (cause) {
      throw new TokenLogError(
        `token ${(before?.state.generation ?? 0) + 1} does not verify: ${(cause as Error).message}`,
        {
          cause,
        },
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
    `the store holds another domain token ${generation} than before: restore it from a backup. Do not restart the domain-managers, which hold the one before`,
  );
}
