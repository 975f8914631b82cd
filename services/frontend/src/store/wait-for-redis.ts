import type { Log } from '@keyfleet/shared/log';
import type { RedisClient } from '@keyfleet/shared/redis/connect';
import type { DurabilityWatch } from '@keyfleet/shared/redis/durability-watch';
import { answers, waitForRedis } from '@keyfleet/shared/redis/wait-for-redis';
import type { FrontendConfig } from '../config.ts';
import { startHttpEdge, starting } from '../edge/http.ts';
import { TrustedProxies } from '../edge/trusted-proxies.ts';

interface Waiting {
  /** Of the connection that writes. */
  readonly durability: DurabilityWatch;
  readonly config: FrontendConfig;
  readonly signal: AbortSignal;
  readonly log: Log;
}

/** Waits as `waitForRedis` does. Meanwhile the port answers probes with what is missing. */
export async function waitWithProbes(client: RedisClient, waiting: Waiting): Promise<boolean> {
  const { config, durability, signal, log } = waiting;
  if (await answers(client, durability)) return true;
  const readiness = () => ({ redis: { ok: false, detail: `not connected (${client.status})` } });
  await using _probes = await startHttpEdge({
    proxies: new TrustedProxies(config.trustedProxies),
    address: config.http,
    answer: async () => starting,
    namesKey: () => false,
    readiness,
    log,
  });
  return waitForRedis(client, durability, signal);
}
