import { type VerifiedDomain, verifyGenesis, verifyNext } from '@keyfleet/shared/domain/chain';
import { proposalId } from '@keyfleet/shared/domain/proposal';
import { parseToken } from '@keyfleet/shared/domain/token';
import type { TrustAnchor } from '@keyfleet/shared/domain/trust-anchor';
import type { TokenStore } from './store/store.ts';

/** The newest token, verified from the trust anchor. */
export interface Head extends VerifiedDomain {
  readonly token: Buffer;
  /** The proposal that caused it. */
  readonly proposalId: string;
}

/** What is stored is not what the trust anchor and the chain allow. Nobody but an operator can put this right. */
export class TokenLogError extends Error {
  override name = 'TokenLogError';
}

const LOAD_COUNT = 64;
/** Of one answer; a single token may be larger. */
const PAGE_BYTES = 1024 * 1024;

/** The domain's tokens: append-only in the store, each verified here before it is stored and before it is passed on. */
export class TokenLog {
  readonly #store: TokenStore;
  readonly #anchor: TrustAnchor;
  readonly #tokens: Buffer[] = [];
  readonly #generationOf = new Map<string, number>();
  #head: Head | undefined;
  #refreshing: Promise<void> | undefined;

  constructor(store: TokenStore, anchor: TrustAnchor) {
    this.#store = store;
    this.#anchor = anchor;
  }

  /** Undefined before the ceremony. */
  get head(): Head | undefined {
    return this.#head;
  }

  /** 0 before the ceremony. */
  get generation(): number {
    return this.#tokens.length;
  }

  /** Reads what others have stored. Callers at the same time share one reading. Throws TokenLogError, or the store's error. */
  refresh(): Promise<void> {
    this.#refreshing ??= this.#readStore().finally(() => {
      this.#refreshing = undefined;
    });
    return this.#refreshing;
  }

  /** The generation that a proposal made; undefined while it made none. */
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

  /** False when another replica stored this generation first. Throws when `token` does not follow the head. */
  async append(token: Buffer): Promise<boolean> {
    const next = this.#verify(token);
    if (!(await this.#store.appendToken(next.state.generation, token))) return false;
    // A refresh may have read it meanwhile.
    if (this.#tokens.length === next.state.generation - 1) this.#push(next);
    return true;
  }

  async #readStore(): Promise<void> {
    // Begins with the head itself: if that is not what it was, the store was rolled back or changed.
    const from = Math.max(this.#tokens.length - 1, 0);
    const stored = await this.#store.loadTokens(from, LOAD_COUNT);
    const known = this.#tokens[from];
    if (known !== undefined && stored[0]?.equals(known) !== true) {
      throw new TokenLogError(
        `the store no longer holds token ${from + 1} as it was: it was rolled back or changed; restore it from a backup`,
      );
    }
    for (const [index, token] of stored.entries()) {
      if (from + index === this.#tokens.length) this.#push(this.#verify(token));
    }
    if (stored.length === LOAD_COUNT) await this.#readStore();
  }

  #verify(token: Buffer): Head {
    try {
      const parsed = parseToken(token);
      const verified = this.#head === undefined ? verifyGenesis(this.#anchor, parsed) : verifyNext(this.#head, parsed);
      return { ...verified, token, proposalId: proposalId(parsed.proposal) };
    } catch (cause) {
      throw new TokenLogError(`token ${this.#tokens.length + 1} does not verify: ${(cause as Error).message}`, {
        cause,
      });
    }
  }

  #push(head: Head): void {
    this.#tokens.push(head.token);
    this.#generationOf.set(head.proposalId, head.state.generation);
    this.#head = head;
  }
}
