/**
 * Why a domain token, a proposal or a trust anchor is refused. None of it is secret: everything judged here is public.
 * - `malformed`: not the canonical bytes of anything.
 * - `other-domain`: belongs to another domain.
 * - `stale`, `skipped`: for a generation already passed, or not reached yet.
 * - `forked`: follows another token than the installed one.
 * - `forged`: a signature that does not verify, or a signer who may not sign.
 * - `repeated-signer`: one operator twice.
 * - `not-enough-signatures`: no alternative of the rule is met.
 * - `no-rule`: the domain has no rule for the change: denied.
 * - `wrong-state`: the new state is not what the change makes of the old one.
 * - `invalid-change`: the change does not lead to a valid state.
 * - `too-soon`: machines asked for another rotation too early.
 * - `too-young`: a domain key that backups may still need.
 * - `rolled-back`: older than what was installed before.
 * - `outdated`: of an older version than is accepted.
 * - `unwitnessed`: a token that no other member confirms.
 * - `other-preparer`: names another member as its preparer.
 * - `from-the-future`: dated later than now by the reader's clock.
 * - `unauthorized-call`: no scheduler of the domain signed the call.
 * - `cannot-open`: the sealed domain keys do not open for this member.
 * - `not-shown`: a worker that is told of a token finds it at none of its domain-managers.
 * - `no-domain`, `already-in-domain`: as they say.
 */
export type DomainErrorCode =
  | 'malformed'
  | 'other-domain'
  | 'stale'
  | 'skipped'
  | 'forked'
  | 'forged'
  | 'repeated-signer'
  | 'not-enough-signatures'
  | 'no-rule'
  | 'wrong-state'
  | 'invalid-change'
  | 'too-young'
  | 'too-soon'
  | 'rolled-back'
  | 'outdated'
  | 'unwitnessed'
  | 'other-preparer'
  | 'from-the-future'
  | 'unauthorized-call'
  | 'cannot-open'
  | 'not-shown'
  | 'no-domain'
  | 'already-in-domain';

export class DomainError extends Error {
  override name = 'DomainError';
  readonly code: DomainErrorCode;

  constructor(code: DomainErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}
