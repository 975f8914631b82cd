import { setTimeout as delay } from 'node:timers/promises';
import { splitMac } from '@keyfleet/frontend/store/record-mac';
import type { MadeRecordKey, RecordKeyRange } from '@keyfleet/frontend/store/record-key';
import type { FleetRecordKeys } from '@keyfleet/frontend/store/record-keys';
import { DamagedRecordError } from '@keyfleet/frontend/store/store';
import type { RedisClient } from '@keyfleet/shared/redis/connect';
import { NamesMissedError } from '@keyfleet/shared/redis/nodes';
import { CliError } from './cli-error.ts';
import { keptIn } from './left-out.ts';
import type { Progress } from './progress.ts';
import { OlderRecords } from './older-records.ts';
import { assertNoneBeyond } from './record-key-numbers.ts';
import { type ReadRecord, Unlisted } from './unlisted.ts';
import { type FoundRecord, pagesOfRecords, type Records } from './records.ts';

/** By then every frontend that is not held up has looked for a newer key, and wrote what it had under an older one. */
const SETTLED_MS = 5_000;

export interface RotatedRecordKey {
  /** The record key that all records are now under, but for those refused. */
  readonly newest: number;
  /** The generation of the domain key under which it was made. */
  readonly madeIn: number;
  /** Records that were rewritten under it. */
  readonly rewritten: number;
  /** What is wrong with each of the others. If there are any, no older key is dropped. */
  readonly refused: readonly string[];
  /** What is wrong with each that is in force and in no list. They are under the newest key, too. */
  readonly unlisted: readonly string[];
}

export interface RotationOptions {
  /** The newest record key, as the operator knows it: `records` were opened with it. */
  readonly known: MadeRecordKey;
  /** The record key that an earlier run made, and was cut off; undefined if there was none. */
  readonly interrupted: number | undefined;
}

/**
 * Makes a new record key, verifies every record and rewrites it under that key; then drops the older keys, unless a
 * record was refused, or a second pass finds one that is not under it: without its key no mistake could be made good.
 * Believed are records under the key that was the newest. Which one that was, and which older keys are still in use, is
 * only Redis's word, and whoever writes it can put a dropped key back, or one that was made in advance: the operator
 * says which is the newest, when it was made, and that a run was cut off. Frontends write under the new key meanwhile:
 * Redis refuses a record under an older one, however late it comes. Throws ConflictError if somebody else rotates at
 * the same time, and CliError if records may have been missed.
 */
export async function rotateRecordKey(
  redis: RedisClient,
  records: Records,
  progress: Progress,
  { known, interrupted }: RotationOptions,
): Promise<RotatedRecordKey> {
  const { keys, secrets } = records;
  const { oldest, newest: found } = await rangeUpTo(redis, keys, known);
  const { number: newest, madeIn } = await keys.makeNext();
  await delay(SETTLED_MS);
  await secrets.fenceRecordKeys(newest);
  const from = interrupted === undefined ? found : Math.min(interrupted - 1, found);
  try {
    const { rewritten, refused, unlisted } = await rewriteAll(redis, { records, from, newest }, progress);
    if (refused.length === 0) {
      await assertAllUnder(newest, redis, records, progress);
      await secrets.dropOlderRecordKeys({ oldest, newest });
    }
    return { newest, madeIn, rewritten, refused, unlisted };
  } catch (cause) {
    if (!(cause instanceof NamesMissedError)) throw cause;
    const options = `--newest ${newest} --made-in ${madeIn} --interrupted ${interrupted ?? newest}`;
    throw new CliError(`${cause.message}, with ${options}. No older record key was dropped.`, { cause });
  }
}

/** Throws NamesMissedError if a record is not under that key, or cannot be read. */
async function assertAllUnder(
  newest: number,
  redis: RedisClient,
  { calls }: Records,
  progress: Progress,
): Promise<void> {
  let [seen, others] = [0, 0];
  for await (const { records, damaged } of pagesOfRecords(redis, calls)) {
    others += damaged.length + records.filter(({ stored }) => splitMac(stored)?.keyNumber !== newest).length;
    seen += records.length;
    progress.tell(() => `${seen} records looked at once more`);
  }
  if (others > 0)
    throw new NamesMissedError(
      `a second look found records that are not under record key ${newest} (${others}): begin anew`,
    );
}

/** Throws CliError unless the newest record key is the one that the operator knows. */
export async function rangeUpTo(
  redis: RedisClient,
  keys: Pick<FleetRecordKeys, 'look'>,
  known: MadeRecordKey,
): Promise<RecordKeyRange> {
  const { oldest, newest } = await foundFrom(keys, known);
  await assertNoneBeyond(redis, newest);
  if (newest !== known.number)
    throw new CliError(`in Redis the newest record key is ${newest}, not ${known.number}. ${OTHER}`);
  return { oldest, newest };
}

async function foundFrom(
  keys: Pick<FleetRecordKeys, 'look'>,
  { number, madeIn }: MadeRecordKey,
): Promise<RecordKeyRange> {
  try {
    return await keys.look();
  } catch (cause) {
    if (!(cause instanceof DamagedRecordError)) throw cause;
    if (madeIn === 0) throw new CliError(NOT_OF_THE_FIRST, { cause, exitCode: 2 });
    throw new CliError(
      `in Redis there is no record key ${number} that was made in generation ${madeIn} and is the newest (${cause.message}). ${OTHER}`,
      { cause },
    );
  }
}

const NOT_OF_THE_FIRST =
  '--made-in: 0 is for a record key of the first releases alone, and there is none in Redis under that number. The run that made it printed its ' +
  "generation, and a frontend's record-key-floor.json has it as madeIn.";

const OTHER =
  'If that number is right, somebody changed what Redis says: restore kf:record-keys and the tokens of record keys from a backup';

interface Rewriting {
  readonly records: Records;
  /** The oldest record key whose records are believed. */
  readonly from: number;
  readonly newest: number;
}

/** One pass. A record that changes meanwhile is thereby under the newest key. */
async function rewriteAll(
  redis: RedisClient,
  { records: { calls, macs }, from, newest }: Rewriting,
  progress: Progress,
): Promise<Pick<RotatedRecordKey, 'rewritten' | 'refused' | 'unlisted'>> {
  let [rewritten, seen] = [0, 0];
  const refused: string[] = [];
  const refuse = keptIn(refused);
  const older = new OlderRecords(from);
  const unlisted = new Unlisted(redis);
  const rewrite = async (found: FoundRecord): Promise<ReadRecord | undefined> => {
    const { place, stored } = found;
    if (older.has(found)) return undefined;
    // Those under the newest too: Redis may have had another key of that number before.
    const record = await macs.verified(place, stored);
    if (splitMac(stored)?.keyNumber === newest) return { place, stored, record };
    const next = await macs.withMac(place, record);
    if (!(await found.replace(next))) return undefined;
    rewritten++;
    return { place, stored: next.text, record };
  };
  for await (const { records, damaged } of pagesOfRecords(redis, calls)) {
    damaged.forEach(refuse);
    const outcomes = await Promise.allSettled(records.map(rewrite));
    await unlisted.look(outcomes.flatMap((one) => (one.status === 'fulfilled' && one.value ? [one.value] : [])));
    for (const outcome of outcomes) {
      if (outcome.status === 'fulfilled') continue;
      if (!(outcome.reason instanceof DamagedRecordError)) throw outcome.reason;
      refuse(outcome.reason.message);
    }
    seen += records.length;
    progress.tell(() => `${seen} records checked, ${rewritten} rewritten under record key ${newest}`);
  }
  return { rewritten, refused: [...refused, ...older.problems()], unlisted: await unlisted.problems() };
}
