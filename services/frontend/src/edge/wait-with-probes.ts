import { answers, waitForRedis } from '@keyfleet/shared/redis/wait-for-redis';
import type { Assembly } from '../assembly.ts';
import type { RedisConnections } from '../store/start-store.ts';
import { startHttpEdge, starting } from './http.ts';
import { TrustedProxies } from './trusted-proxies.ts';

/** Waits like `waitForRedis`. Meanwhile the port answers probes with what is missing. */
export async function waitWithProbes(
  { config, log }: Assembly,
  { client, durability }: RedisConnections,
  signal: AbortSignal,
): Promise<boolean> {
  if (await answers(client, durability)) return true;
  const readiness = () => ({ redis: { ok: false, detail: `not connected (${client.status})` } });
  const notYet = { answer: async () => starting, namesKey: () => false };
  await using _probes = await startHttpEdge({
    proxies: new TrustedProxies(config.trustedProxies),
    address: config.http,
    drainMs: config.drain,
    kms: notYet,
    query: notYet,
    pipeline: notYet,
    readiness,
    log,
  });
  return waitForRedis(client, durability, signal);
}
