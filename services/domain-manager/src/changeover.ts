import { activeDomainKey, CHANGEOVER_MS, type DomainState } from '@keyfleet/shared/domain/state';
import type { WorkerView } from './worker-survey.ts';

/**
 * Whether what follows a rotation may begin: every reachable member says that it uses the active domain key, or has had
 * the time for it. Nothing that a member says is signed, and one may lie; frontends store nothing under a key that went
 * out of use longer ago (docs/domain.md). `waitedMs`: since the token with that key was seen.
 */
export function isSettled(state: DomainState, views: readonly WorkerView[], waitedMs: number): boolean {
  if (waitedMs >= CHANGEOVER_MS) return true;
  const members = views.filter(({ standing }) => standing === 'member');
  return members.length > 0 && members.every((view) => !isBehind(state, view));
}

/** What is wrong with a member that is no longer waited for; undefined if it changed over or has time left. */
export function latenessOf(state: DomainState, view: WorkerView, waitedMs: number): string | undefined {
  if (waitedMs < CHANGEOVER_MS || !isBehind(state, view)) return undefined;
  const { activeGeneration = 0 } = view.description ?? {};
  const { createdGeneration } = activeDomainKey(state);
  return `still seals under the domain key of generation ${activeGeneration}, it says, ten minutes after that of ${createdGeneration} was made: the domain-manager no longer waits for it`;
}

function isBehind(state: DomainState, { standing, description }: WorkerView): boolean {
  return standing === 'member' && (description?.activeGeneration ?? 0) < activeDomainKey(state).createdGeneration;
}
