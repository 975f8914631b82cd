import { storeAt } from '../stored/names.ts';
import type { RedisClient } from './connect.ts';
import { readShortFields } from './stored-values.ts';

/**
 * For how long after a restore no KMS key is deleted: as long as a deletion that is scheduled then waits at least.
 * Records are older than what people decided since, and whoever restores may want the very keys that are due by now.
 */
export const KEPT_AFTER_RESTORE_MS = 7 * 86_400_000;

const DATE = /^\d{1,15}$/;

/** Says that the store is restored now, by its own clock, in milliseconds since the epoch, which is returned. */
export async function noteRestored(client: RedisClient, domain: string): Promise<number> {
  const [seconds = 0] = (await client.time()).map(Number);
  await client.hset(storeAt(domain), 'restoredAt', seconds * 1000);
  return seconds * 1000;
}

/**
 * When it was last restored, or accepted by an operator in place of what services knew; 0 if never. Whoever writes to
 * Redis can say so, or hide it.
 */
export async function readRestoredAt(client: RedisClient, domain: string): Promise<number> {
  const fields = ['restoredAt', 'acceptedAt'] as const;
  const found = await readShortFields(client, storeAt(domain), { maxBytes: 15, fields });
  return Math.max(0, ...[...found.values()].filter((text) => DATE.test(text)).map(Number));
}
