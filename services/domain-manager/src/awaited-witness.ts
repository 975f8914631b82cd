import { type DomainState, isMember } from '@keyfleet/shared/domain/state';
import type { WorkerView } from './worker-survey.ts';

/** A proposal, or what the store has of one. */
export interface Signed {
  readonly signatures: readonly { readonly operatorId: string }[];
}

export interface Awaiting {
  /** The state that the token follows; undefined for the founding one. */
  readonly before: DomainState | undefined;
  /** The member that makes the token. */
  readonly maker: string;
  readonly views: readonly WorkerView[];
}

/**
 * The addresses of workers that a change waits for, because one of them may be a member that could check its token, and
 * nobody in reach can. What people signed waits for nobody: a fleet may be lost. What machines alone signed can wait:
 * after a power failure the first member that answers may be hostile, and a token for nobody would end the domain.
 */
export function awaitedWitnesses({ signatures }: Signed, { before, maker, views }: Awaiting): string[] {
  if (before === undefined) return [];
  const others = before.members.filter(({ memberId }) => memberId !== maker);
  const people = before.operators.filter(({ role }) => role === 'operator');
  const isByPeople = signatures.some((one) => people.some(({ operatorId }) => operatorId === one.operatorId));
  const mayCheck = ({ description }: WorkerView): boolean =>
    description !== undefined &&
    description.generation >= before.generation &&
    isMember({ members: others }, description);
  if (others.length === 0 || isByPeople || views.some(mayCheck)) return [];
  return views.filter(({ standing }) => standing === 'unreachable').map(({ worker }) => worker.address);
}
