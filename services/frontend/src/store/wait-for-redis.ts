import { setTimeout as delay } from 'node:timers/promises';
import { ConfigError } from '@keyfleet/shared/config';
import type { Log } from '@keyfleet/shared/log';
import type { RedisClient } from '@keyfleet/shared/redis/connect';
import type { DurabilityWatch } from '@keyfleet/shared/redis/durability-watch';
import type { FrontendConfig } from '../config.ts';
import { startHttpEdge, starting } from '../edge/http.ts';
import { TrustedProxies } from '../edge/trusted-proxies.ts';

const RETRY_MS = 100;

interface Waiting {
  /** Of the connection that writes. */
  readonly durability: DurabilityWatch;
  readonly config: FrontendConfig;
  readonly signal: AbortSignal;
  readonly log: Log;
}

/**
 * True once Redis answers; false when the service is stopped before. Meanwhile the port answers probes with what is missing. Throws
 * ConfigError for a Redis that may lose acknowledged writes.
 */
export async function waitForRedis(client: RedisClient, waiting: Waiting): Promise<boolean> {
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
  while (!signal.aborted) {
    if (await answers(client, durability)) return true;
    await delay(RETRY_MS, undefined, { signal }).catch(() => undefined);
  }
  return false;
}

async function answers(client: RedisClient, durability: DurabilityWatch): Promise<boolean> {
  try {
    await durability.current();
    await client.ping();
    return true;
  } catch (error) {
    if (error instanceof ConfigError) throw error;
    return false;
  }
}
