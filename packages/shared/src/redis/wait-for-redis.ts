import { setTimeout as delay } from 'node:timers/promises';
import { ConfigError } from '../config.ts';
import type { RedisClient } from './connect.ts';
import type { DurabilityWatch } from './durability-watch.ts';

const RETRY_MS = 100;

/** Whether Redis answers and keeps what it acknowledges. Throws ConfigError if it may lose it. */
export async function answers(client: RedisClient, durability: DurabilityWatch): Promise<boolean> {
  try {
    await durability.current();
    await client.ping();
    return true;
  } catch (error) {
    if (error instanceof ConfigError) throw error;
    return false;
  }
}

/** True once Redis answers; false if the service is stopped first. Throws as `answers` does. */
export async function waitForRedis(
  client: RedisClient,
  durability: DurabilityWatch,
  signal: AbortSignal,
): Promise<boolean> {
  while (!signal.aborted) {
    if (await answers(client, durability)) return true;
    await delay(RETRY_MS, undefined, { signal }).catch(() => {});
  }
  return false;
}
