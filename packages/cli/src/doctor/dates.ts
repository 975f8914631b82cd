import { mastersOf, type RedisClient } from '@keyfleet/shared/redis/connect';
import { lasting, type StoredKind, storedNameOf } from '@keyfleet/shared/stored/names';
import { CliError } from '../cli-error.ts';
import type { Progress } from '../progress.ts';
import { pagesOfAllNames } from '../redis-option.ts';

const MOST_NAMED = 20;
const REMEDY =
  'No service sets such a date: take a backup and restore it into an empty Redis before then (docs/recovery.md, "What somebody put into Redis")';

/** Whether Redis is to delete anything that lasts. Throws a CliError that names it. */
export async function checkDates(redis: RedisClient, progress: Progress): Promise<string> {
  const named: string[] = [];
  let [seen, dated] = [0, 0];
  for await (const page of pagesOfAllNames(redis)) {
    const names = page.filter((name) => lasting.has(storedNameOf(name)?.kind as StoredKind));
    const left = await Promise.all(names.map((name) => redis.pttl(name)));
    for (const [i, name] of names.entries()) {
      // Redis answers -1 where there is none, and -2 if it is gone by now.
      if (left[i]! < 0) continue;
      dated++;
      if (named.length < MOST_NAMED) named.push(`${name} on ${new Date(Date.now() + left[i]!).toISOString()}`);
    }
    seen += names.length;
    progress.tell(() => `dates: ${seen} names checked`);
  }
  const keyspaces = await Promise.all(mastersOf(redis).map((node) => node.info('keyspace')));
  const hashes = keyspaces.reduce((sum, info) => sum + hashesWithDates(info), 0);
  const more = dated > named.length ? [`${dated - named.length} more`] : [];
  const inside = hashes > 0 ? [`fields of ${hashes} hashes`] : [];
  const all = [...named, ...more, ...inside];
  if (all.length === 0) return 'nothing that lasts is to vanish';
  throw new CliError(`Redis is to delete ${all.join(', ')}. ${REMEDY}.`);
}

/** In how many hashes a field is to vanish, of INFO's answer. A field can have a date since Redis 7.4. */
export function hashesWithDates(keyspace: string): number {
  return Number(/^db0:.*\bsubexpiry=(\d+)/m.exec(keyspace)?.[1] ?? 0);
}
