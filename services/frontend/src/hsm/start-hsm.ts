import { newTokenSource } from '@keyfleet/proto/token-source';
import type { TrustAnchor } from '@keyfleet/shared/domain/trust-anchor';
import type { Notices } from '@keyfleet/shared/notices';
import type { RedisClient } from '@keyfleet/shared/redis/connect';
import type { Assembly } from '../assembly.ts';
import { HsmClient } from './client.ts';
import { openDomainFloor } from './domain-floor.ts';
import { DomainView } from './domain-view.ts';
import { newRedisTokenSource } from '../store/redis-tokens.ts';
import type { HostIdentity } from './negotiation.ts';
import { WorkerPool } from './pool.ts';
import { newWorkerClient } from './worker-client.ts';

export async function startDomainView(
  { config, peers, events, resources }: Assembly,
  anchor: TrustAnchor,
  { notices, redis }: { readonly notices: Notices; readonly redis: RedisClient },
): Promise<DomainView> {
  return resources.use(
    new DomainView({
      anchor,
      floor: await openDomainFloor(config.dataDir, anchor.domain),
      managers: config.domainManagers.map(({ text }) => newTokenSource(text, peers.credentials)),
      stored: newRedisTokenSource(redis, anchor.domain),
      workers: config.hsmWorkers.length,
      notices,
      onProblem: (address, error) => events.domainManagerProblem(address, error),
    }),
  );
}

export interface HsmFleet {
  readonly pool: WorkerPool;
  readonly hsm: HsmClient;
}

export function startHsm(
  { config, peers, clock, events, resources }: Assembly,
  host: HostIdentity,
  domain: DomainView,
): HsmFleet {
  const pool = resources.use(
    new WorkerPool({
      workers: config.hsmWorkers.map(({ text }) => newWorkerClient(text, peers.credentials)),
      host,
      domain,
      clock,
      maxInFlight: config.maxInFlight,
      onProblem: (address, error) => events.workerProblem(address, error),
    }),
  );
  const hsm = new HsmClient({
    hsm: pool,
    domainState: () => domain.state,
    isDomainOfOne: () => domain.isOfOne,
    refreshDomain: () => domain.refresh(),
    clock,
    workers: config.hsmWorkers.length,
    events,
  });
  return { pool, hsm };
}
