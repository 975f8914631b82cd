import type { Clock } from '@keyfleet/shared/clock';
import { CHANGEOVER_MS, deactivatedAt, type DomainState } from '@keyfleet/shared/domain/state';
import { FormatError } from '@keyfleet/shared/encoding/bytes';
import { domainKeyIdOf } from '@keyfleet/shared/hsm/exported-key-token';

export interface TokenFenceDeps {
  readonly domainState: () => DomainState | undefined;
  /** Fetches newer domain tokens, if there are any. Never rejects. */
  readonly refreshDomain: () => Promise<void>;
  readonly clock: Clock;
}

/** Which tokens are sent to workers, and which are taken from them: by the domain key that they are sealed under. */
export class TokenFence {
  readonly #deps: TokenFenceDeps;
  /** Tokens that were looked at. Records are kept in memory, and their tokens with them. */
  readonly #ofDomain = new WeakSet<Uint8Array>();

  constructor(deps: TokenFenceDeps) {
    this.#deps = deps;
  }

  /** Whether it was found to be of the domain before. */
  knows(token: Uint8Array | undefined): boolean {
    return token === undefined || this.#ofDomain.has(token);
  }

  /**
   * Whether it is under a domain key that the domain has. For any other, workers would wait for a domain token that never comes.
   * While no domain is known, no worker is used either.
   */
  async isOfDomain(token: Uint8Array): Promise<boolean> {
    const isKnown = this.#deps.domainState() === undefined || (await this.#isUnderKnownKey(token));
    if (isKnown) this.#ofDomain.add(token);
    return isKnown;
  }

  /**
   * Whether a token that was sealed now may be stored: under a domain key that is in use, or was a moment ago. A worker that was
   * removed, or is cut off from the domain, may go on sealing under another; once nothing is stored under it it is destroyed, and
   * what came later would be lost (docs/domain.md).
   */
  async mayStore(token: Uint8Array): Promise<boolean> {
    if (!(await this.#isUnderKnownKey(token))) return false;
    const since = deactivatedAt(this.#deps.domainState()!, domainKeyIdOf(token));
    return since === undefined || this.#deps.clock.now() - since <= CHANGEOVER_MS;
  }

  async #isUnderKnownKey(token: Uint8Array): Promise<boolean> {
    const id = findDomainKeyId(token);
    const has = (): boolean => this.#deps.domainState()?.domainKeys.some((key) => key.id === id) ?? false;
    // Workers may hear of a new domain key first. One that was dropped looks just like it, so only the domain's tokens can tell.
    if (id !== undefined && !has()) await this.#deps.refreshDomain();
    return has();
  }
}

/** Undefined for what is no token. */
function findDomainKeyId(token: Uint8Array): string | undefined {
  try {
    return domainKeyIdOf(token);
  } catch (error) {
    if (error instanceof FormatError) return undefined;
    throw error;
  }
}
