import { dueQueue } from '@keyfleet/shared/due-queue';
import type { Notices } from '@keyfleet/shared/notices';
import { type CarryOutDeps, carryOutDue } from './carry-out.ts';

export interface DueWorkerDeps extends CarryOutDeps {
  readonly notices: Pick<Notices, 'connection'>;
  readonly onProblem: (problem: unknown) => void;
}

/** Deletes and rotates keys that are due, shard by shard as the domain-manager asks for it, while this frontend serves. */
export function startDueWorker(deps: DueWorkerDeps): AsyncDisposable {
  return dueQueue.startWorker(deps.notices, ({ shard }, alive) => carryOutDue(shard, deps, alive), deps.onProblem);
}
