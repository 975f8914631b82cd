import type { Clock } from '@keyfleet/shared/clock';
import { assertNotFromFuture, follow } from '@keyfleet/shared/domain/chain';
import { proposalId } from '@keyfleet/shared/domain/proposal';
import type { DomainState, VerifiedDomain } from '@keyfleet/shared/domain/state';
import { parseToken } from '@keyfleet/shared/domain/token';
import type { TrustAnchor } from '@keyfleet/shared/domain/trust-anchor';
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

export interface TokenLogOptions {
  readonly store: TokenStore;
  readonly anchor: TrustAnchor;
  /**
   * Called for the newest of the tokens that were found in the store, before any of them counts: anyone who writes
   * there may have put it there. `before`: the state that it follows. Throws if members deny it.
   */
  readonly confirmStored: (newest: Head, before: DomainState | undefined) => Promise<void>;
  readonly clock: Clock;
  /** For measuring durations. */
  readonly monotonicClock: Clock;
  /** The store had lost tokens, and this replica, which still held them, stored them again. */
  readonly onRestored?: (from: number, to: number) => void;
}

const LOAD_COUNT = 64;
/** Everyone who asks for tokens has the store read. A token that members deny is not brought to them each time. */
const ASK_AGAIN_MS = 10_000;
/** Size of one answer; a single token may be larger. */
const PAGE_BYTES = 1024 * 1024;

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
  #denied: { readonly hash: Buffer; readonly error: unknown; readonly at: number } | undefined;
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
   * False if another replica stored this generation first. Throws TokenLogError if `token` does not follow the head,
   * and whatever `confirm` throws, which runs before the token is stored and returns a member's check of it, if it got
   * one.
   */
  async append(token: Buffer, confirm: (next: Head) => Promise<Buffer | undefined>): Promise<boolean> {
    const next = this.#verify(token, this.#head);
    const check = await confirm(next);
    if (!(await this.#store.appendToken(next.state.generation, token, check))) return false;
    this.#push(next);
    return true;
  }

  async #readStore(): Promise<void> {
    const before = this.#head;
    // Starts at the head: if that differs, the store was rolled back or changed.
    const from = Math.max(this.generation - 1, 0);
    const found: Head[] = [];
    for (let at = from; ; at += LOAD_COUNT) {
      const page = await this.#store.loadTokens(at, LOAD_COUNT);
      const hasKnown = at === from && before !== undefined;
      if (hasKnown && page.length === 0) return this.#restoreStore();
      if (hasKnown && !page[0]!.equals(before.token)) throw changedStore(before.state.generation);
      for (const token of hasKnown ? page.slice(1) : page) found.push(this.#verify(token, found.at(-1) ?? before));
      if (page.length < LOAD_COUNT) break;
    }
    const newest = found.at(-1);
    if (newest === undefined) return;
    await this.#assertConfirmed(newest, (found.at(-2) ?? before)?.state);
    await this.#store.confirmTokens();
    for (const head of found) this.#push(head);
  }

  async #assertConfirmed(newest: Head, before: DomainState | undefined): Promise<void> {
    const now = this.#monotonicClock.now();
    const denied = this.#denied;
    if (denied !== undefined && denied.hash.equals(newest.hash) && now - denied.at < ASK_AGAIN_MS) throw denied.error;
    try {
      await this.#confirmStored(newest, before);
      this.#denied = undefined;
    } catch (error) {
      this.#denied = { hash: Buffer.from(newest.hash), error, at: now };
      throw error;
    }
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

  /** What is read while it is appended comes twice. */
  #push(head: Head): void {
    if (head.state.generation !== this.generation + 1) return;
    this.#tokens.push(head.token);
    this.#seenAt.push(this.#monotonicClock.now());
    this.#generationOf.set(head.proposalId, head.state.generation);
    this.#head = head;
  }
}

function changedStore(generation: number): TokenLogError {
  return new TokenLogError(`the store holds another domain token ${generation} than before: restore it from a backup`);
}
