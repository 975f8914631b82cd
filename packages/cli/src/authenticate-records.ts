import { DamagedRecordError } from '@keyfleet/frontend/store/store';
import type { RedisClient } from '@keyfleet/shared/redis/connect';
import type { Progress } from './progress.ts';
import { type FoundRecord, hasMac, pagesOfRecords, type Records } from './records.ts';

export interface Authenticated {
  /** Records that already had their MAC. */
  readonly genuine: number;
  /** Records that received one. */
  readonly made: number;
  /** What is wrong with each of the others, which were left as they are. */
  readonly refused: readonly string[];
}

/**
 * Gives a MAC to every record without one: from then on frontends accept it as their own. Only those who trust Redis as
 * it is now may do this. A record with a wrong MAC stays refused. May be interrupted and repeated.
 */
export async function authenticateRecords(
  redis: RedisClient,
  { calls, macs }: Records,
  progress: Progress,
): Promise<Authenticated> {
  let [genuine, made] = [0, 0];
  const refused: string[] = [];
  const authenticate = async (record: FoundRecord): Promise<void> => {
    if (hasMac(record)) {
      await macs.verified(record.place, record.stored);
      genuine++;
    } else {
      assertRecord(record);
      if (!(await record.replace(await macs.withMac(record.place, record.stored)))) {
        throw new DamagedRecordError(
          `${nameOf(record)} changed in the meantime: stop everything that writes to Redis, then run this again`,
        );
      }
      made++;
    }
  };
  for await (const { records, damaged } of pagesOfRecords(redis, calls)) {
    refused.push(...damaged);
    const done = await Promise.allSettled(records.map(authenticate));
    for (const outcome of done) {
      if (outcome.status === 'fulfilled') continue;
      if (!(outcome.reason instanceof DamagedRecordError)) throw outcome.reason;
      refused.push(outcome.reason.message);
    }
    progress.tell(() => `${genuine + made} records authenticated`);
  }
  return { genuine, made, refused };
}

/** Throws DamagedRecordError unless it is a JSON object, as any release wrote it. */
function assertRecord(record: FoundRecord): void {
  try {
    const value: unknown = JSON.parse(record.stored);
    if (typeof value === 'object' && value !== null && JSON.stringify(value) === record.stored) return;
  } catch {
    // Reported below.
  }
  throw new DamagedRecordError(`${nameOf(record)} is not a record: restore it from a backup`);
}

function nameOf({ place: { name, field } }: FoundRecord): string {
  return field === undefined ? name : `${name} ${field}`;
}
