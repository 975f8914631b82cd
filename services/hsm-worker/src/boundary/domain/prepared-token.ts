import type { Clock } from '@keyfleet/shared/clock';
import { assertNotFromFuture, isFromFuture } from '@keyfleet/shared/domain/chain';
import type { DomainState } from '@keyfleet/shared/domain/state';
import { type DomainToken, parseToken } from '@keyfleet/shared/domain/token';

/**
 * The token that an HSM made to follow the newest one. It makes no other, or members could receive different ones.
 */
export class PreparedToken {
  readonly #clock: Clock;
  #token: DomainToken | undefined;

  /** `bytes`: what the HSM remembers of it after a restart. */
  constructor(clock: Clock, bytes?: Uint8Array) {
    this.#clock = clock;
    this.#token = bytes && parseToken(bytes);
  }

  /** The whole token. */
  get bytes(): Uint8Array | undefined {
    return this.#token?.bytes;
  }

  /**
   * The token that follows `before`, if there is one. Throws `DomainError('from-the-future')` if a wrong clock dated it
   * ahead: nobody accepts it now, but whoever has it may present it when its time comes, and a second token of its
   * generation would split the domain.
   */
  following(before: DomainState | undefined): DomainToken | undefined {
    const token = this.#token;
    if (token?.state.generation !== (before?.generation ?? 0) + 1) return undefined;
    const now = this.#clock.now();
    if (!isFromFuture(token, now)) return token;
    // A sole member has nobody to bring it to.
    const isAlone = [before ?? token.state, token.state].every(({ members }) => members.length === 1);
    if (!isAlone) assertNotFromFuture(token, now);
    return undefined;
  }

  keep(token: DomainToken): void {
    this.#token = token;
  }

  /** Once there is a token of that generation, the one made for it says nothing more. */
  forgetUpTo(generation: number): void {
    if (this.#token !== undefined && this.#token.state.generation <= generation) this.#token = undefined;
  }
}
