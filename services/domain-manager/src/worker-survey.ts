import type { Clock } from '@keyfleet/shared/clock';
import { CALL_SKEW_MS } from '@keyfleet/shared/domain/domain-call';
import { type DomainState, isMember } from '@keyfleet/shared/domain/state';
import type { Head } from './token-log.ts';
import type { HsmDescription, Worker } from './workers.ts';

export type Standing =
  | 'member'
  /** Belongs to no domain: operators may admit it. */
  | 'asking-to-join'
  /** Belongs to this domain, but the newest token does not list it. */
  | 'removed'
  /** Belongs to another domain, or has a member's name with other keys. */
  | 'stranger'
  | 'unreachable';

/** A worker, and what it said when last asked. */
export interface WorkerView {
  readonly worker: Worker;
  readonly standing: Standing;
  readonly description?: HsmDescription;
  readonly problem?: string;
}

/** Asks every configured worker who it is. Does not throw: a worker that does not answer is `unreachable`. */
export async function surveyWorkers(workers: readonly Worker[], head: Head | undefined): Promise<WorkerView[]> {
  const views = await Promise.all(
    workers.map(async (worker): Promise<WorkerView> => {
      try {
        const description = await worker.describe();
        return { worker, description, ...standingOf(description, head) };
      } catch (error) {
        return { worker, standing: 'unreachable', problem: (error as Error).message };
      }
    }),
  );
  return views.map((view) => ({ ...view, ...twinOf(view, views) }));
}

/** Two workers are never one member: one of them lies, somebody alters its answers, or a volume was copied. */
function twinOf(
  { worker, standing, description }: WorkerView,
  views: readonly WorkerView[],
): Pick<WorkerView, 'problem'> {
  if (standing !== 'member') return {};
  const memberId = description?.memberId;
  const twin = views.find(
    (other) => other.worker !== worker && other.standing === 'member' && other.description?.memberId === memberId,
  );
  return twin === undefined ? {} : { problem: `says that it is ${memberId}, and so does ${twin.worker.address}` };
}

const SHARED_MS = 1_000;

/**
 * Callers within one second share a survey: anyone may ask for the status, and this limits how often this replica asks
 * the workers.
 */
export class SharedSurvey {
  readonly #workers: readonly Worker[];
  readonly #clock: Clock;
  #last: { readonly head: Head | undefined; readonly at: number; readonly views: Promise<WorkerView[]> } | undefined;

  constructor(workers: readonly Worker[], clock: Clock) {
    this.#workers = workers;
    this.#clock = clock;
  }

  take(head: Head | undefined): Promise<WorkerView[]> {
    const at = this.#clock.now();
    if (this.#last === undefined || this.#last.head !== head || at - this.#last.at >= SHARED_MS)
      this.#last = { head, at, views: surveyWorkers(this.#workers, head) };
    return this.#last.views;
  }
}

/** How the worker stands to the stored domain, and what is wrong with it. */
export function standingOf(
  description: HsmDescription,
  head: Head | undefined,
): { standing: Standing; problem?: string } {
  if (description.domain !== '' && description.domain !== head?.state.domain) {
    return { standing: 'stranger', problem: `belongs to the domain '${description.domain}'` };
  }
  const { memberId } = description;
  if (head === undefined) return { standing: 'asking-to-join' };
  if (!head.state.members.some((member) => member.memberId === memberId)) {
    if (description.domain === '') return { standing: 'asking-to-join' };
    // Perhaps a token admitted it that the store lost.
    return { standing: 'removed', ...rollbackOf(description, head) };
  }
  if (!isMember(head.state, description)) {
    const problem = `has the name of member ${memberId}, but other keys`;
    return { standing: 'stranger', problem, ...(description.domain !== '' && rollbackOf(description, head)) };
  }
  return { standing: 'member', ...rollbackOf(description, head) };
}

/**
 * Both mean that somebody changed what was stored: nothing here can repair it, so it is logged and shown in the status.
 */
function rollbackOf(description: HsmDescription, head: Head): { problem?: string } {
  const { generation } = head.state;
  if (description.generation > generation) {
    return { problem: `holds generation ${description.generation}, the store only ${generation}: restore the store` };
  }
  if (description.generation === generation && Buffer.compare(head.hash, description.tokenHash) !== 0) {
    return { problem: `holds another token of generation ${generation} than the store: the domain is forked` };
  }
  return {};
}

/**
 * Whether most members in reach would refuse what is asked of them here, for its time. One among others that lies, or
 * whose clock is wrong, does not decide that.
 */
export function isClockRefused(views: readonly WorkerView[]): boolean {
  const members = views.filter(({ standing }) => standing === 'member');
  const others = members.filter(({ description }) => Math.abs(description?.clockAheadMs ?? 0) > CALL_SKEW_MS);
  return others.length > members.length / 2;
}

/** Members of the domain that match no configured worker: offline members, or workers out of reach. */
export function absentMembers(state: DomainState, views: readonly WorkerView[]): string[] {
  const present = new Set(
    views.filter(({ standing }) => standing === 'member').map((view) => view.description?.memberId),
  );
  return state.members.map(({ memberId }) => memberId).filter((memberId) => !present.has(memberId));
}
