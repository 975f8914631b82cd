import { activeDomainKey } from '@keyfleet/shared/domain/state';
import type { DomainManagerEvents } from './events.ts';
import type { Head, TokenLog } from './token-log.ts';
import { standingOf, type WorkerView } from './worker-survey.ts';
import type { HsmDescription, Worker } from './workers.ts';

/**
 * Brings every reachable member to the newest token; once all have it, tells them to use its domain key. Also sends the
 * token to removed members, which then know of their removal. Returns the views after that; a worker's failure is a
 * problem in its view.
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
    // Otherwise a worker that took none would be sent the same page forever.
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
