import { DomainError } from '@keyfleet/shared/domain/domain-error';
import { isMember } from '@keyfleet/shared/domain/state';
import { parseToken } from '@keyfleet/shared/domain/token';
import { verifyCheck } from '@keyfleet/shared/domain/token-check';
import type { DomainManagerEvents } from './events.ts';
import type { WorkerView } from './worker-survey.ts';
import { type Head, TokenLogError } from './token-log.ts';
import { WorkerRefusedError } from './workers.ts';

/** A member was asked, and its answer did not come: the same token is worth asking for again. */
export class UnconfirmedError extends Error {
  override name = 'UnconfirmedError';
}

/**
 * Asks the members of the new state, but not the one that made the token, until one can open it. A token verifies in
 * public whatever is sealed in it; once stored, no other of its generation is, and a domain whose members cannot open
 * it has come to its end. What a worker says of itself only decides who is asked; what counts is a member's signature.
 * Throws TokenLogError when all that answer refuse it, and UnconfirmedError when one that is there does not answer.
 * Nobody in reach, as when every worker is lost, is no reason to wait.
 */
export async function assertOthersOpen(
  { state, hash, token }: Head,
  { views, events }: { readonly views: readonly WorkerView[]; readonly events: DomainManagerEvents },
): Promise<void> {
  const { signerId } = parseToken(token);
  const others = state.members.filter(({ memberId }) => memberId !== signerId);
  const refusals: string[] = [];
  let unanswered: unknown;
  for (const { worker, description } of views) {
    const isWitness =
      description?.generation === state.generation - 1 &&
      description.memberId !== signerId &&
      isMember(state, description);
    if (!isWitness) continue;
    try {
      return verifyCheck(await worker.check(token), others, { domain: state.domain, hash });
    } catch (error) {
      events.tokenNotConfirmed(worker, signerId, error);
      if (error instanceof WorkerRefusedError || error instanceof DomainError) {
        refusals.push(`${description.memberId}: ${error.message}`);
      } else unanswered = error;
    }
  }
  if (unanswered !== undefined) {
    throw new UnconfirmedError('a member that is there does not say whether it can open the token', {
      cause: unanswered,
    });
  }
  if (refusals.length > 0) {
    throw new TokenLogError(`no other member can open the token that ${signerId} made (${refusals.join('; ')})`);
  }
}
