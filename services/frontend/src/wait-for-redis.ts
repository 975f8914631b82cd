import { setTimeout as delay } from 'node:timers/promises';
import { ConfigError } from '@keyfleet/shared/config';
import type { Log } from '@keyfleet/shared/log';
import type { RedisClient } from '@keyfleet/shared/redis/connect';
import { checkDurability, type Durability } from '@keyfleet/shared/redis/durability';
import type { FrontendConfig } from './config.ts';
import { startHttpEdge, starting } from './edge/http.ts';

const RETRY_MS = 100;

interface Waiting {
  readonly config: FrontendConfig;
  readonly signal: AbortSignal;
  readonly log: Log;
}

/**
 * How durable the Redis is, once it answers; undefined when the service is stopped before. Meanwhile the port answers probes
 * with what is missing. Throws ConfigError for a Redis that may lose acknowledged writes.
 */
export async function waitForRedis(client: RedisClient, waiting: Waiting): Promise<Durability | undefined> {
  const { config, signal, log } = waiting;
  const first = await askOnce(client, config);
  if (first !== undefined) return first;
  const readiness = () => ({ redis: { ok: false, detail: `not connected (${client.status})` } });
  await using _probes = await startHttpEdge({ address: config.http, answer: async () => starting, readiness, log });
  while (!signal.aborted) {
    const durability = await askOnce(client, config);
    if (durability !== undefined) return durability;
    await delay(RETRY_MS, undefined, { signal }).catch(() => undefined);
  }
  return undefined;
}

async function askOnce(client: RedisClient, config: FrontendConfig): Promise<Durability | undefined> {
  try {
    return await checkDurability(client, config.redis.durability);
  } catch (error) {
    if (error instanceof ConfigError) throw error;
    return undefined;
  }
}
