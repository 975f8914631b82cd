import { boundTo, newProposal, type Proposal, type Signer, signProposal } from '@keyfleet/shared/domain/proposal';
import { isMet } from '@keyfleet/shared/domain/quorum';
import { encodedPublicKey } from '@keyfleet/shared/domain/signature';
import {
  activeDomainKey,
  type DomainState,
  type RuledChange,
  type VerifiedDomain,
} from '@keyfleet/shared/domain/state';
import { parseToken } from '@keyfleet/shared/domain/token';
import { ROTATION_PAUSE_MS } from '@keyfleet/shared/domain/valid-state';
import type { Head } from './token-log.ts';
import type { WorkerView } from './worker-survey.ts';

/**
 * Milliseconds since the epoch. Sooner where an earlier release made the newest token: until there is one of the
 * present version, tokens need no witness.
 */
export function nextRotationAt(state: DomainState, everyMs: number): number {
  return activeDomainKey(state).createdAt + (state.version < 3 ? Math.min(everyMs, ROTATION_PAUSE_MS) : everyMs);
}

/**
 * How much later than the rotation's period a machine alone still makes a token. All clocks may be ahead together, by
 * the source that they share: a token that is stored then stands in the way of every other until its time comes. So
 * what is later than an outage explains is for people, who look at the clock.
 */
const LATE_MS = 7 * 86_400_000;

export function isTooLate({ madeAt }: DomainState, everyMs: number, now: number): boolean {
  return now > madeAt + everyMs + LATE_MS;
}

/** A domain change signed by the scheduler alone, if the rules allow it. `preparer` makes its token. */
export function scheduled(
  head: VerifiedDomain,
  { change, scheduler, preparer }: { change: ScheduledChange; scheduler: Signer; preparer: string },
): Proposal {
  return signProposal(newProposal({ ...boundTo(head, preparer), ...change }), scheduler);
}

export type ScheduledChange =
  | { readonly name: 'RotateDomainKeys'; readonly body: Record<string, never> }
  | { readonly name: 'RetireDomainKeys'; readonly body: { ids: string[] } };

/**
 * The members that a scheduled change may name: reachable ones that hold the newest token, in turn after the one that
 * made it: no member makes them all.
 */
export function preparersOf({ state, token }: Head, views: readonly WorkerView[]): string[] {
  const ready = new Set(
    views
      .filter(({ standing, description }) => standing === 'member' && description?.generation === state.generation)
      .map(({ description }) => description!.memberId),
  );
  const members = state.members.map(({ memberId }) => memberId);
  const next = members.indexOf(parseToken(token).signerId) + 1;
  return [...members.slice(next), ...members.slice(0, next)].filter((memberId) => ready.has(memberId));
}

/**
 * Why members refuse whatever this scheduler asks of them: operators removed it, or gave its name another key.
 * Undefined if they do not. A state without schedulers, which is of version 1, takes calls from anyone.
 */
export function refusalOf({ operatorId, privateKey }: Signer, { operators }: DomainState): string | undefined {
  const schedulers = operators.filter(({ role }) => role === 'scheduler');
  const known = schedulers.find((scheduler) => scheduler.operatorId === operatorId);
  const problem =
    known === undefined
      ? 'is no scheduler'
      : encodedPublicKey(privateKey).equals(known.signingKey)
        ? ''
        : 'has another key';
  if (schedulers.length === 0 || problem === '') return undefined;
  return `${operatorId} ${problem} in the newest domain token, so members refuse its calls: give this domain-manager the key of one, or stop it`;
}

/** Whether the scheduler's signature alone meets the rule. Rules older than the change do not mention it. */
export function mayAlone(scheduler: Signer, name: RuledChange, { rules, operators }: DomainState): boolean {
  const rule = rules.find(({ command }) => command === name);
  const signer = operators.find(({ operatorId }) => operatorId === scheduler.operatorId);
  return rule !== undefined && signer !== undefined && isMet(rule, [signer]);
}
