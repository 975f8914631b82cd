import { DomainError } from '@keyfleet/shared/domain/domain-error';
import { isMember } from '@keyfleet/shared/domain/state';
import { parseToken } from '@keyfleet/shared/domain/token';
import { verifyCheck } from '@keyfleet/shared/domain/token-check';
import type { DomainManagerEvents } from './events.ts';
import type { WorkerView } from './worker-survey.ts';
import { type Head, TokenLogError } from './token-log.ts';
import { WorkerRefusedError } from './workers.ts';

/** A member was asked but did not answer: it is worth asking again for the same token. */
export class UnconfirmedError extends Error {
  override name = 'UnconfirmedError';
}

/**
 * Asks the members of the new state, except the token's maker, until one can open it. Anyone can verify a token,
 * whatever is sealed in it; once it is stored, no other token of its generation can be, and a domain whose members
 * cannot open it is finished. A worker's own description only decides who is asked; what counts is a member's
 * signature. Throws TokenLogError if all that answer refuse it, and UnconfirmedError if one that is reachable does not
 * answer. If none is in reach, as when every worker is lost, it does not wait.
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
    throw new UnconfirmedError('a reachable member does not say whether it can open the token', {
      cause: unanswered,
    });
  }
  if (refusals.length > 0) {
    throw new TokenLogError(`no other member can open the token that ${signerId} made (${refusals.join('; ')})`);
  }
}
