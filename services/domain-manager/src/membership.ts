import type { Clock } from '@keyfleet/shared/clock';
import { activeDomainKey, type DomainState, isMember } from '@keyfleet/shared/domain/state';
import type { DomainManagerEvents } from './events.ts';
import type { Head, TokenLog } from './token-log.ts';
import type { HsmDescription, Worker } from './workers.ts';

export type Standing =
  | 'member'
  /** Belongs to no domain: operators may admit it. */
  | 'asking-to-join'
  /** Of this domain, but the newest token does not list it. */
  | 'removed'
  /** Of another domain, or with the name of a member and other keys. */
  | 'stranger'
  | 'unreachable';

/** A worker and what it said when it was last asked. */
export interface WorkerView {
  readonly worker: Worker;
  readonly standing: Standing;
  readonly description?: HsmDescription;
  readonly problem?: string;
}

/** Asks every configured worker who it is. Never throws: who does not answer is `unreachable`. */
export function surveyWorkers(workers: readonly Worker[], head: Head | undefined): Promise<WorkerView[]> {
  return Promise.all(
    workers.map(async (worker): Promise<WorkerView> => {
      try {
        const description = await worker.describe();
        return { worker, description, ...standingOf(description, head) };
      } catch (error) {
        return { worker, standing: 'unreachable', problem: (error as Error).message };
      }
    }),
  );
}

const SHARED_MS = 1_000;

/** One survey for all who ask within a second: anyone may ask for the status, and workers answer this replica so often and no more. */
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

function standingOf(description: HsmDescription, head: Head | undefined): { standing: Standing; problem?: string } {
  if (description.domain !== '' && description.domain !== head?.state.domain) {
    return { standing: 'stranger', problem: `belongs to the domain '${description.domain}'` };
  }
  const { memberId } = description;
  if (head === undefined || !head.state.members.some((member) => member.memberId === memberId)) {
    return { standing: description.domain === '' ? 'asking-to-join' : 'removed' };
  }
  if (!isMember(head.state, description)) {
    return { standing: 'stranger', problem: `has the name of member ${memberId}, and other keys` };
  }
  return { standing: 'member', ...rollbackOf(description, head) };
}

/** Both mean that somebody changed what was stored: nothing here can repair it, so it is said, and shown in the status. */
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

/** Members of the domain that no configured worker is: offline members, or workers out of reach. */
export function absentMembers(state: DomainState, views: readonly WorkerView[]): string[] {
  const present = new Set(
    views.filter(({ standing }) => standing === 'member').map((view) => view.description?.memberId),
  );
  return state.members.map(({ memberId }) => memberId).filter((memberId) => !present.has(memberId));
}

/**
 * Brings every reachable member to the newest token; when all of them have it, tells them to use its domain key. Also sent to
 * removed members, which then know that they are. Returns the views after that; a worker's failure is a problem of its view.
 */
export async function distributeTokens(
  views: readonly WorkerView[],
  tokens: TokenLog,
  events: DomainManagerEvents,
): Promise<readonly WorkerView[]> {
  const head = tokens.head;
  if (head === undefined) return views;
  const { generation } = head.state;
  const { createdGeneration } = activeDomainKey(head.state);
  const installed = await Promise.all(
    views.map((view) => updateView(view, head, events, (worker, has) => installMissing(worker, has, tokens))),
  );
  const reachable = installed.filter(({ standing }) => standing === 'member');
  if (!reachable.every(({ description }) => description?.generation === generation)) return installed;
  return Promise.all(
    installed.map(async (view) =>
      view.standing !== 'member' || (view.description?.activeGeneration ?? 0) >= createdGeneration
        ? view
        : updateView(view, head, events, (worker) => worker.activate(generation)),
    ),
  );
}

async function installMissing(worker: Worker, has: HsmDescription, tokens: TokenLog): Promise<HsmDescription> {
  let description = has;
  for (;;) {
    const page = tokens.page(description.generation);
    if (page.length === 0) return description;
    const before = description.generation;
    description = await worker.install(page);
    // A worker that took none would be sent the same page for ever.
    if (description.generation <= before) return description;
  }
}

async function updateView(
  view: WorkerView,
  head: Head,
  events: DomainManagerEvents,
  update: (worker: Worker, has: HsmDescription) => Promise<HsmDescription>,
): Promise<WorkerView> {
  const { worker, standing, description } = view;
  if (description === undefined || (standing !== 'member' && standing !== 'removed')) return view;
  try {
    const updated = await update(worker, description);
    return { worker, description: updated, ...standingOf(updated, head) };
  } catch (error) {
    events.tokenNotTaken(worker, error);
    return { ...view, problem: (error as Error).message };
  }
}
