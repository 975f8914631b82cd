import { newProposal, type Proposal, type Signer, signProposal } from '@keyfleet/shared/domain/proposal';
import { activeDomainKey, type DomainState } from '@keyfleet/shared/domain/state';
import type { WorkerView } from './membership.ts';

/** Milliseconds since the epoch. */
export function nextRotationAt(state: DomainState, everyMs: number): number {
  return activeDomainKey(state).createdAt + everyMs;
}

/** Whether every reachable member uses the active domain key, so that the rotation before has come to its end. */
export function isSettled(state: DomainState, views: readonly WorkerView[]): boolean {
  const { createdGeneration } = activeDomainKey(state);
  const reachable = views.filter(({ standing }) => standing === 'member');
  return (
    reachable.length > 0 &&
    reachable.every(({ description }) => (description?.activeGeneration ?? 0) >= createdGeneration)
  );
}

/** A rotation of the domain's keys that the scheduler may sign alone, if the rules say so. `drop`: ids of domain keys nothing needs. */
export function scheduledRotation(state: DomainState, scheduler: Signer, drop: readonly string[]): Proposal {
  const { domain, generation } = state;
  const command = { domain, generation, name: 'RotateDomainKeys' as const, body: { drop: [...drop] } };
  return signProposal(newProposal(command), scheduler);
}
