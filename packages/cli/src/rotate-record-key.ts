import { setTimeout as delay } from 'node:timers/promises';
import { splitMac } from '@keyfleet/frontend/store/record-mac';
import { DamagedRecordError } from '@keyfleet/frontend/store/store';
import type { RedisClient } from '@keyfleet/shared/redis/connect';
import type { Progress } from './progress.ts';
import { type FoundRecord, pagesOfRecords, type Records } from './records.ts';

/** By then every frontend that is not held up has looked for a newer key, and wrote what it had under an older one. */
const SETTLED_MS = 5_000;

export interface RotatedRecordKey {
  /** The record key that all records are now under, but for those refused. */
  readonly newest: number;
  /** Records that were rewritten under it. */
  readonly rewritten: number;
  /** What is wrong with each of the others. If there are any, no older key is dropped. */
  readonly refused: readonly string[];
}

/**
 * Makes a new record key, or continues an interrupted rotation: one is in progress if there are two keys and the newest
 * is from after the last removal. Verifies every record and rewrites it under the new key; then drops the older ones,
 * unless a record was refused: without its key no mistake could be made good. Frontends write under the new key
 * meanwhile: Redis refuses a record under an older one, however late it comes. Throws ConflictError if somebody else
 * rotates at the same time.
 */
export async function rotateRecordKey(
  redis: RedisClient,
  records: Records,
  progress: Progress,
): Promise<RotatedRecordKey> {
  const { keys, secrets } = records;
  const { oldest, newest: found } = await keys.look();
  const isUnderWay = found > oldest && (await keys.isSinceRemoval(found));
  const newest = isUnderWay ? found : await keys.makeNext();
  await delay(SETTLED_MS);
  await secrets.fenceRecordKeys(newest);
  const { rewritten, refused } = await rewriteAll(redis, { records, newest }, progress);
  if (refused.length === 0) await secrets.dropOlderRecordKeys({ oldest, newest });
  return { newest, rewritten, refused };
}

/** One pass. A record that changes meanwhile is thereby under the newest key. */
async function rewriteAll(
  redis: RedisClient,
  { records: { calls, macs }, newest }: { readonly records: Records; readonly newest: number },
  progress: Progress,
): Promise<Omit<RotatedRecordKey, 'newest'>> {
  let [rewritten, seen] = [0, 0];
  const refused: string[] = [];
  const rewrite = async (found: FoundRecord): Promise<void> => {
    const { place, stored } = found;
    if (splitMac(stored)?.keyNumber === newest) return;
    const record = await macs.verified(place, stored);
    if (await found.replace(await macs.withMac(place, record))) rewritten++;
  };
  for await (const page of pagesOfRecords(redis, calls)) {
    for (const outcome of await Promise.allSettled(page.map(rewrite))) {
      if (outcome.status === 'fulfilled') continue;
      if (!(outcome.reason instanceof DamagedRecordError)) throw outcome.reason;
      refused.push(outcome.reason.message);
    }
    seen += page.length;
    progress.tell(() => `${seen} records looked at, ${rewritten} rewritten under record key ${newest}`);
  }
  return { rewritten, refused };
}
