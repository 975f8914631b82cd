import type { Notices } from '@keyfleet/shared/notices';
import { reportField, type ResealItem, resealProgressKey, resealQueue } from '@keyfleet/shared/reseal-queue';
import type { RedisClient } from '@keyfleet/shared/redis/connect';
import { NotThereYetError, type ResealDeps, resealShard } from './reseal.ts';

export interface ResealerDeps extends ResealDeps {
  readonly domain: string;
  readonly client: RedisClient;
  readonly notices: Pick<Notices, 'connection'>;
  readonly onProblem: (problem: unknown) => void;
}

/** Takes shards from the work queue while this frontend serves, and reports what it found to the domain-manager through Redis. */
export function startResealer(deps: ResealerDeps): AsyncDisposable {
  const { domain, client, notices, onProblem } = deps;
  const work = async (item: ResealItem, alive: () => void): Promise<void> => {
    const report = await resealShard(item, deps, alive);
    if (report === undefined) return;
    await client.hset(resealProgressKey(domain, item.generation), reportField(item), JSON.stringify(report));
  };
  return resealQueue.startWorker(notices, work, (problem) => {
    if (!(problem instanceof NotThereYetError)) onProblem(problem);
  });
}
