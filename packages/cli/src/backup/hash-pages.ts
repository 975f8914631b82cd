import type { RedisClient } from '@keyfleet/shared/redis/connect';
import {
  DamagedValueError,
  pageOfFields,
  readEachField,
  readEntries,
  RECORDS_AT_ONCE,
  unlessDamaged,
} from '@keyfleet/shared/redis/stored-values';
import { iamAt, isOfKind, storedNameOf } from '@keyfleet/shared/stored/names';
import { hash } from 'node:crypto';
import { z } from 'zod';
import type { LeaveOut } from '../left-out.ts';
import { HASH_PIECE } from './format.ts';
import { parseRecord } from './sound.ts';

type Fields = readonly (readonly [field: string, value: Buffer])[];

/** After that, records of the account are still renamed while it is read. */
const MOST_READINGS = 10;
/** More than all quotas of an account together allow: what somebody put beside its records must not fill memory. */
const MOST_RECORDS = 10_000;

const Identified = z.object({ id: z.string() });

/** The fields of a hash in pages, each of one moment. What is damaged in it is left out. */
export async function* pagesOfHash(redis: RedisClient, name: string, leaveOut: LeaveOut): AsyncGenerator<Fields> {
  if (isOfKind(name, 'iam')) yield* pagesOfAccount(redis, name, leaveOut);
  else yield* pagesOnce(redis, name, leaveOut);
}

async function* pagesOnce(redis: RedisClient, name: string, leaveOut: LeaveOut): AsyncGenerator<Fields> {
  for (let cursor: string | undefined = '0'; cursor !== undefined;) {
    const page = await pageOfFields(redis, name, { cursor, count: HASH_PIECE });
    for (const what of page.damaged) leaveOut(what);
    yield page.fields;
    cursor = page.cursor === '0' ? undefined : page.cursor;
  }
}

/**
 * A user or group that is renamed moves to another field, and a group's members change with it. Pages of different
 * moments may then have both fields or neither, and members of a group that is in none. So an account of several pages
 * is read again until no record moved meanwhile: then its last values belong together. A restore drops what is left of
 * a former name. Throws DamagedValueError, after all pages, if its names cannot be followed.
 */
async function* pagesOfAccount(redis: RedisClient, name: string, leaveOut: LeaveOut): AsyncGenerator<Fields> {
  const [, list] = iamAt(storedNameOf(name)!.tag);
  const known = new KnownRecords();
  for (let readings = 1; ; readings++) {
    const before = await namesIn(redis, list).catch(unlessDamaged);
    known.beginReading();
    let pages = 0;
    for await (const fields of pagesOnce(redis, name, readings === 1 ? leaveOut : () => {})) {
      pages++;
      yield known.take(fields);
    }
    if (pages === 1) return;
    if (known.isFull) throw tooMany(name);
    let [after, wasMissed] = [await namesIn(redis, list), false];
    for (let missed; (missed = known.unreadOf(after)).length > 0; after = await namesIn(redis, list)) {
      const found = await readMissed(redis, name, missed);
      yield known.take(found);
      wasMissed ||= found.length > 0;
    }
    if (before?.join() === after.join() && !wasMissed && known.moved.size === 0) return;
    if (readings < MOST_READINGS) continue;
    if ([...known.moved].some((field) => field.startsWith('group/')))
      leaveOut(`${name} (groups were renamed all the while: users may name one as it was called before)`);
    return;
  }
}

/** In order. Throws DamagedValueError if there are more than an account has, or others. */
async function namesIn(redis: RedisClient, list: string): Promise<readonly string[]> {
  const names = await readEntries(redis, list, { from: '-', to: '+', limit: MOST_RECORDS });
  if (names.length === MOST_RECORDS) throw tooMany(list);
  return names;
}

/** The first of these that are there; a page has what is damaged, too. */
async function readMissed(redis: RedisClient, name: string, missed: readonly string[]): Promise<Fields> {
  const values = await readEachField(redis, name, missed);
  return missed.flatMap((field, i) => {
    const value = values[i];
    return Buffer.isBuffer(value) ? [[field, value] as const] : [];
  });
}

/** What was read of an account so far, in one or more readings. */
class KnownRecords {
  readonly #digests = new Map<string, string>();
  /** By unique id. */
  readonly #fields = new Map<string, string>();
  #read = new Set<string>();
  /** Where this reading found records that were under another name before. */
  readonly moved = new Set<string>();
  /** Whether there were more than it remembers. */
  isFull = false;

  beginReading(): void {
    this.#read = new Set();
    this.moved.clear();
  }

  /** Those that were not read so before. */
  take(fields: Fields): Fields {
    return fields.filter(([field, value]) => {
      this.isFull ||= !this.#digests.has(field) && this.#digests.size === MOST_RECORDS;
      if (this.isFull) return true;
      this.#read.add(field);
      const id = parseRecord(Identified, value.toString())?.id;
      if (id !== undefined) {
        if ((this.#fields.get(id) ?? field) !== field) this.moved.add(field);
        this.#fields.set(id, field);
      }
      const digest = hash('sha256', value);
      const isNew = this.#digests.get(field) !== digest;
      this.#digests.set(field, digest);
      return isNew;
    });
  }

  /** The first of these names that this reading has not read; once returned, they count as read. */
  unreadOf(names: readonly string[]): readonly string[] {
    const unread = names.filter((name) => !this.#read.has(name)).slice(0, RECORDS_AT_ONCE);
    for (const name of unread) this.#read.add(name);
    return unread;
  }
}

function tooMany(name: string): DamagedValueError {
  return new DamagedValueError(
    `${name} has more records than an account may have: any that was renamed while it was read may be missing`,
  );
}
