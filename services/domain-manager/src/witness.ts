import { isMember } from '@keyfleet/shared/domain/state';
import { parseToken } from '@keyfleet/shared/domain/token';
import type { DomainManagerEvents } from './events.ts';
import type { WorkerView } from './membership.ts';
import { type Head, TokenLogError } from './token-log.ts';
import { WorkerRefusedError } from './workers.ts';

/**
 * Asks the members of the new state, but not the one that made the token, until one can open it. A token verifies in public whatever is
 * sealed in it; once stored, no other of its generation is, and a domain whose members cannot open it has come to its end. Throws
 * TokenLogError when all that answer refuse it. Nobody in reach, as when every worker is lost, is no reason to wait.
 */
export async function assertOthersOpen(
  { state, token }: Head,
  { views, events }: { readonly views: readonly WorkerView[]; readonly events: DomainManagerEvents },
): Promise<void> {
  const { signerId } = parseToken(token);
  const refusals: string[] = [];
  for (const { worker, description } of views) {
    const isWitness =
      description?.generation === state.generation - 1 &&
      description.memberId !== signerId &&
      isMember(state, description);
    if (!isWitness) continue;
    try {
      return await worker.check(token);
    } catch (error) {
      events.tokenNotConfirmed(worker, signerId, error);
      if (error instanceof WorkerRefusedError) refusals.push(`${description.memberId}: ${error.message}`);
    }
  }
  if (refusals.length > 0) {
    throw new TokenLogError(`no other member can open the token that ${signerId} made (${refusals.join('; ')})`);
  }
}
