import { answers, waitForRedis } from '@keyfleet/shared/redis/wait-for-redis';
import type { Assembly } from '../assembly.ts';
import type { RedisConnections } from '../store/start-store.ts';
import { startHttpEdge, starting } from './http.ts';
import { certificatesOf } from './start-edges.ts';
import { TrustedProxies } from './trusted-proxies.ts';

/** Waits like `waitForRedis`. Meanwhile the port answers probes with what is missing. */
export async function waitWithProbes(
  assembly: Pick<Assembly, 'config' | 'log' | 'resources'>,
  { client, durability }: Pick<RedisConnections, 'client' | 'durability'>,
  signal: AbortSignal,
): Promise<boolean> {
  if (await answers(client, durability)) return true;
  const { config, log } = assembly;
  const readiness = () => ({ redis: { ok: false, detail: `not connected (${client.status})` } });
  const notYet = { answer: async () => starting, namesKey: () => false };
  await using _probes = await startHttpEdge({
    proxies: new TrustedProxies(config.trustedProxies),
    address: config.http,
    certificates: certificatesOf(assembly),
    drainMs: config.drain,
    maxConnectionAgeMs: config.maxConnectionAge,
    kms: notYet,
    query: notYet,
    pipeline: notYet,
    readiness,
    log,
  });
  // Awaited here, so that the port stays open meanwhile.
  return await waitForRedis(client, durability, signal);
}
