import { recordKeyName } from '@keyfleet/frontend/store/record-key';
import type { RedisClient } from '@keyfleet/shared/redis/connect';
import { readString, unlessDamaged } from '@keyfleet/shared/redis/stored-values';
import { RECORD_KEYS, secretAt } from '@keyfleet/shared/stored/names';
import { CliError } from './cli-error.ts';

/** More than anybody ever makes. */
const MOST = 1_000;

/** What Redis says of where record keys begin; undefined if nothing. */
export async function notedOldest(redis: RedisClient): Promise<number | undefined> {
  const text = await readString(redis, RECORD_KEYS).catch(unlessDamaged);
  const noted = /^[1-9]\d{0,8}$/.exec(text?.toString() ?? '')?.[0];
  return noted === undefined ? undefined : Number(noted);
}

/** The numbers of all record keys that are stored, whatever Redis says of where they begin. */
export async function storedNumbers(redis: RedisClient): Promise<number[]> {
  const oldest = (await notedOldest(redis)) ?? 1;
  return [...new Set([...(await storedFrom(redis, 1)), ...(await storedFrom(redis, oldest))])];
}

/** Which record keys are stored, among the numbers from `first` on. */
async function storedFrom(redis: RedisClient, first: number): Promise<number[]> {
  const numbers = Array.from({ length: MOST }, (_, i) => first + i);
  const there = await Promise.all(numbers.map((number) => redis.exists(secretAt(recordKeyName(number).name))));
  return numbers.filter((_, i) => there[i] === 1);
}

/**
 * Where record keys begin is only a number in Redis: whoever writes it can hide the newest. Throws CliError if there
 * are any beyond the one that it leads to.
 */
export async function assertNoneBeyond(redis: RedisClient, newest: number): Promise<void> {
  const [beyond] = await storedFrom(redis, newest + 1);
  if (beyond === undefined) return;
  throw new CliError(
    `record key ${beyond} is stored, and those in use seem to end with ${newest}. If records are under record key ${beyond}, somebody changed ` +
      `kf:record-keys: restore it from a backup. If none are, somebody put that key there: remove ${secretAt(recordKeyName(beyond).name)}.`,
  );
}
