import { type DomainState, droppableAt } from '@keyfleet/shared/domain/state';
import { timeOf } from './text.ts';

interface KeyStanding {
  readonly status: string;
  /** Milliseconds since the epoch; undefined for the active one. */
  readonly droppableAt: number | undefined;
}

export function standingsOf(state: DomainState): KeyStanding[] {
  return state.domainKeys.map(({ id, status }) => ({ status, droppableAt: droppableAt(state, id) }));
}

/**
 * How many domain keys are in use, how many open nothing any more, and from when operators may drop the oldest ones.
 */
export function summaryOf(keys: readonly KeyStanding[], now: number): string {
  const count = (status: string): number => keys.filter((key) => key.status === status).length;
  const from = keys.flatMap((key) => key.droppableAt ?? []).toSorted((a, b) => a - b);
  const droppable = from.filter((at) => at <= now).length;
  const next = from[droppable];
  return [
    `domain keys: ${count('active')} active, ${count('deactivated')} deactivated, ${count('retired')} retired`,
    ...(droppable === 0 ? [] : [`${droppable} may be dropped (keyfleet domain drop all-old)`]),
    ...(next === undefined ? [] : [`the next may be dropped from ${timeOf(next)}`]),
  ].join('; ');
}
