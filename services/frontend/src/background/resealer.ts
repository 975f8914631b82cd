import type { Notices } from '@keyfleet/shared/notices';
import { type ResealItem, resealQueue } from '@keyfleet/shared/reseal-queue';
import { OvertakenError } from './reseal-parts.ts';
import { NotNowError, type ResealDeps, resealShard } from './reseal.ts';

export interface ResealerDeps extends ResealDeps {
  readonly notices: Pick<Notices, 'connection'>;
  readonly onProblem: (problem: unknown) => void;
}

/** Takes shards from the work queue while this frontend serves, and reports what it found to the domain-manager through Redis. */
export function startResealer(deps: ResealerDeps): AsyncDisposable {
  const { notices, onProblem } = deps;
  const stop = new AbortController();
  const work = async (item: ResealItem, alive: () => void): Promise<void> => {
    try {
      await resealShard(item, deps, { alive, stop: stop.signal });
    } catch (error) {
      if (!(error instanceof OvertakenError)) throw error;
    }
  };
  const worker = resealQueue.startWorker(notices, work, (problem) => {
    if (!(problem instanceof NotNowError)) onProblem(problem);
  });
  return {
    async [Symbol.asyncDispose]() {
      stop.abort();
      await worker[Symbol.asyncDispose]();
    },
  };
}
