import type { Clock } from '@keyfleet/shared/clock';
import { activeDomainKey } from '@keyfleet/shared/domain/state';
import type { DomainManagerEvents } from './events.ts';
import type { Head, TokenLog } from './token-log.ts';
import { standingOf, type WorkerView } from './worker-survey.ts';
import type { HsmDescription, Worker } from './workers.ts';

/** After this time a worker gets no further page of tokens in the same round. */
const INSTALL_FOR_MS = 10_000;

export interface DistributionDeps {
  readonly tokens: TokenLog;
  readonly events: DomainManagerEvents;
  readonly clock: Clock;
}

/**
 * Brings every reachable member to the newest token; once all have it, tells them to use its domain key. Also sends the
 * token to removed members, which then know of their removal. Returns the views after that; a worker's failure is a
 * problem in its view.
 */
export async function distributeTokens(
  views: readonly WorkerView[],
  { tokens, events, clock }: DistributionDeps,
): Promise<readonly WorkerView[]> {
  const head = tokens.head;
  if (head === undefined) return views;
  const { generation } = head.state;
  const { createdGeneration } = activeDomainKey(head.state);
  const installed = await Promise.all(
    views.map((view) =>
      updateView(view, head, events, (worker, has) => installMissing(worker, has, { tokens, clock })),
    ),
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

/** The rest waits for what a worker says of itself, which may be a lie: a long chain goes on in the next round. */
async function installMissing(
  worker: Worker,
  has: HsmDescription,
  { tokens, clock }: Pick<DistributionDeps, 'tokens' | 'clock'>,
): Promise<HsmDescription> {
  const until = clock.now() + INSTALL_FOR_MS;
  let description = has;
  do {
    const page = tokens.page(description.generation);
    if (page.length === 0) return description;
    const taken = description.generation + page.length;
    description = await worker.install(page);
    // Otherwise a worker that took none would be sent the same page forever.
    if (description.generation < taken) return description;
  } while (clock.now() < until);
  return description;
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
