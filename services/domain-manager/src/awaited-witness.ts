import { mayModifyMembers, type Signed } from '@keyfleet/shared/domain/quorum';
import type { DomainState, Member } from '@keyfleet/shared/domain/state';
import { newestMembers, type WorkerView } from './worker-survey.ts';

export interface Awaiting {
  /** The state that the token follows; undefined for the founding one. */
  readonly before: DomainState | undefined;
  /** The member that makes the token. */
  readonly maker: string;
  /** Whether the change admits members. */
  readonly admits: boolean;
  readonly views: readonly WorkerView[];
}

/**
 * The addresses of workers that a change waits for, because one of them may be a member that could check its token, and
 * nobody in reach can. What those signed who may change the members waits for nobody, as a removal, unless it admits
 * somebody, who has no keys to compare. All else can wait: after a power failure the first member that answers may be
 * hostile, and a token for nobody, or with other keys, ends the domain. That of an offline member waits as well: a
 * worker that is silent may be the maker.
 */
export function awaitedWitnesses(proposal: Signed, { before, maker, admits, views }: Awaiting): string[] {
  if (before === undefined) return [];
  const isAnother = ({ memberId }: Pick<Member, 'memberId'>): boolean => memberId !== maker;
  const isUrgent = mayModifyMembers(before, proposal) && !admits;
  if (!before.members.some(isAnother) || isUrgent || newestMembers(views, before).some(isAnother)) return [];
  return views.filter(({ standing }) => standing === 'unreachable').map(({ worker }) => worker.address);
}
