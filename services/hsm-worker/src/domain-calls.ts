import type { Clock } from '@keyfleet/shared/clock';
import { type DomainCallMethod, verifyCall } from '@keyfleet/shared/domain/domain-call';
import { DomainError } from '@keyfleet/shared/domain/domain-error';
import { parseProposal } from '@keyfleet/shared/domain/proposal';
import { verifyFounding } from '@keyfleet/shared/domain/quorum';
import type { Operator } from '@keyfleet/shared/domain/state';
import { parseToken } from '@keyfleet/shared/domain/token';
import type { TrustAnchor } from '@keyfleet/shared/domain/trust-anchor';
import type { Asked } from './boundary/domain/check-token.ts';
import type { Hsm } from './boundary/hsm.ts';

export interface DomainCallsDeps {
  readonly hsm: Pick<Hsm, 'memberId' | 'state' | 'heldSchedulers' | 'verify'>;
  readonly anchor: TrustAnchor;
  readonly clock: Clock;
}

/**
 * Accepts calls that change this member only from the domain's schedulers. Until the member has a state of its own, the
 * schedulers are those in the state that the call itself proves from the trust anchor. Throws `DomainError`.
 */
export class DomainCalls {
  readonly #deps: DomainCallsDeps;

  constructor(deps: DomainCallsDeps) {
    this.#deps = deps;
  }

  /** `current`: absent for the founding token. */
  assertPrepare(call: Uint8Array | undefined, proposal: Uint8Array, current: Uint8Array | undefined): void {
    const { hsm, anchor } = this.#deps;
    const request = current === undefined ? [proposal] : [proposal, current];
    const operators = hsm.state?.operators ?? verifyFounding(anchor, parseProposal(proposal)).body.operators;
    this.#assert(call, { method: 'PrepareDomainToken', request }, operators);
  }

  /**
   * A member with a state reads no tokens from a stranger, because to read megabytes of them takes seconds. If it was
   * away and the schedulers have changed, it fetches the tokens itself (token-follower.ts). Nor does it verify more
   * than the next one, which says what is wrong with them: it installs none of these. Returns the generation of the
   * last.
   */
  assertInstall(call: Uint8Array | undefined, tokens: readonly Uint8Array[]): number {
    const { hsm } = this.#deps;
    this.#assert(call, { method: 'InstallDomainTokens', request: tokens }, this.#operatorsFor(tokens));
    const first = tokens.length === 0 ? 0 : parseToken(tokens[0]!).state.generation;
    const next = Math.min(Math.max((hsm.state?.generation ?? 0) + 1 - first, 0), tokens.length - 1);
    hsm.verify(tokens.slice(next, next + 1));
    return parseToken(tokens.at(-1)!).state.generation;
  }

  /**
   * What the caller may ask. A domain-manager whose store lost the token that removed its scheduler does not know that:
   * it must hear of the token, before it stores another.
   */
  assertCheck(call: Uint8Array | undefined, token: Uint8Array): Asked {
    const { hsm, anchor } = this.#deps;
    // Of a worker without a state, only the founding token is asked, which has no witness yet.
    const operators = hsm.state?.operators ?? verifyFounding(anchor, parseToken(token).proposal).body.operators;
    const subject = { method: 'CheckDomainToken', request: [token] } as const;
    const caller = this.#assert(call, subject, operators, hsm.heldSchedulers);
    return caller === undefined || operators.includes(caller) ? 'opens' : 'holds';
  }

  assertActivate(call: Uint8Array | undefined, generation: number): void {
    const request = [Buffer.from(String(generation))];
    this.#assert(call, { method: 'ActivateDomainKey', request }, this.#operators());
  }

  assertLeave(call: Uint8Array | undefined, proposal: Uint8Array): void {
    this.#assert(call, { method: 'LeaveDomain', request: [proposal] }, this.#operators());
  }

  #operatorsFor(tokens: readonly Uint8Array[]): readonly Operator[] {
    const { hsm } = this.#deps;
    return hsm.state?.operators ?? hsm.verify(tokens).state.operators;
  }

  #operators(): readonly Operator[] {
    const { state } = this.#deps.hsm;
    if (state === undefined) throw new DomainError('no-domain', 'this HSM has not seen its domain yet');
    return state.operators;
  }

  /** Returns who signed it; undefined where anyone may call. */
  #assert(
    call: Uint8Array | undefined,
    subject: { readonly method: DomainCallMethod; readonly request: readonly Uint8Array[] },
    operators: readonly Operator[],
    former: readonly Operator[] = [],
  ): Operator | undefined {
    const { hsm, anchor, clock } = this.#deps;
    const schedulers = operators.filter(({ role }) => role === 'scheduler');
    // Only a state of version 1 can have no scheduler, and the next change must name one: docs/domain.md.
    if (schedulers.length === 0) return undefined;
    if (call === undefined || call.length === 0) {
      throw new DomainError('unauthorized-call', 'a scheduler of the domain must sign the call');
    }
    return verifyCall(
      call,
      { domain: anchor.domain, memberId: hsm.memberId, ...subject },
      { schedulers: [...schedulers, ...former], now: clock.now() },
    );
  }
}
