import { DomainError } from '@keyfleet/shared/domain/domain-error';
import type { DomainChange, Proposal } from '@keyfleet/shared/domain/proposal';
import { mayModifyMembers } from '@keyfleet/shared/domain/quorum';
import { areDomainKeysToRetire, type DomainState } from '@keyfleet/shared/domain/state';

interface AskedChange {
  readonly change: DomainChange;
  /**
   * Until a rotation's time, of which makers and witnesses must think alike: a member is bound to what it made, and a
   * quorum then has nobody to change the domain.
   */
  readonly rotatesInMs: number;
}

/**
 * What those may not do to `state` who may not change its members: one person alone, or a holder of the scheduler's
 * key. Each token makes every other proposal stale, and stays for ever, so they must not be able to make one after the
 * other: a rotation has its time, and a retirement takes all keys that a removal gave to retire. Throws `DomainError`:
 * `too-soon` or `invalid-change`.
 */
export function assertWithinLimits(state: DomainState, proposal: Proposal, { change, rotatesInMs }: AskedChange): void {
  if (mayModifyMembers(state, proposal)) return;
  if (change.name === 'RotateDomainKeys' && rotatesInMs > 0) {
    const seconds = Math.ceil(rotatesInMs / 1000);
    throw new DomainError(
      'too-soon',
      `the next rotation is possible in ${seconds} s, and at once if those sign who may change the members`,
    );
  }
  if (change.name === 'RetireDomainKeys' && !areDomainKeysToRetire(change.body.ids, state)) {
    throw new DomainError(
      'invalid-change',
      'other domain keys than those from before the last removal, all of them, are retired only if those sign who may change the members',
    );
  }
}
