import { storedValueOf } from '../stored/names.ts';
import type { RedisClient } from './connect.ts';
import { askFor, askTidied, type Found, type Kind } from './stored-value-scripts.ts';

/** Something that no service stores there. The message names the value and says what to do. */
export class DamagedValueError extends Error {
  override name = 'DamagedValueError';
}

/** For a `catch`: what is damaged is as if it were not there, and `tell` hears of it. Throws any other error. */
export function unlessDamaged(error: unknown, tell?: (damage: DamagedValueError) => void): undefined {
  if (!(error instanceof DamagedValueError)) throw error;
  tell?.(error);
}

/** The greatest length of what this release does not know: a newer one may have put it there. */
const UNKNOWN_BYTES = 1024 * 1024;
/** For readers of all records. Each may have a megabyte, a page of a hash two, which Redis holds until it is sent. */
export const RECORDS_AT_ONCE = 32;
/** How much of a name that somebody made is shown. */
export const SHOWN_NAME = 300;

// Whatever somebody put in a value's place, these read no other type than its kind's, and nothing that is longer than
// it may be. They throw DamagedValueError for that.

/** Undefined if there is none. */
export async function readString(client: RedisClient, name: string): Promise<Buffer | undefined> {
  const kind = kindOf(name, 'string');
  const [value] = await read(client, name, kind);
  return value === undefined ? undefined : shortOf(name, value, kind);
}

/** In the same order; undefined for those that are not there. */
export async function readFields(
  client: RedisClient,
  name: string,
  fields: readonly string[],
): Promise<(Buffer | undefined)[]> {
  const values = await readEachField(client, name, fields);
  return values.map((value) => {
    if (value instanceof DamagedValueError) throw value;
    return value;
  });
}

/** The same where one that is too long hides none of the others: what is wrong with it is in its place. */
export async function readEachField(
  client: RedisClient,
  name: string,
  fields: readonly string[],
): Promise<(Buffer | undefined | DamagedValueError)[]> {
  const kind = kindOf(name, 'hash');
  const values = await read(client, name, kind, 'fields', ...fields);
  return fields.map((field, i) => orDamage(() => shortOf(`${name} ${field}`, values[i], kind)));
}

export interface ShortFields<F extends string> {
  readonly maxBytes: number;
  readonly fields: readonly F[];
}

/**
 * The same of hashes that are read again and again: what is longer than `maxBytes` is as if it were not there, and so
 * is a value of another type.
 */
export async function readShortFieldBytes<F extends string>(
  client: RedisClient,
  name: string,
  { maxBytes, fields }: ShortFields<F>,
): Promise<ReadonlyMap<F, Buffer>> {
  const found = await askFor(client, name, { type: 'hash', maxBytes }, 'fields', ...fields);
  const short = Array.isArray(found) ? fields.map((field, i) => [field, found[i]] as const) : [];
  return new Map(short.flatMap(([field, value]) => (Buffer.isBuffer(value) ? [[field, value]] : [])));
}

/** The same in UTF-8: not for a script that compares, because bytes that are none do not come back as they were. */
export async function readShortFields<F extends string>(
  client: RedisClient,
  name: string,
  short: ShortFields<F>,
): Promise<ReadonlyMap<F, string>> {
  const found = await readShortFieldBytes(client, name, short);
  return new Map([...found].map(([field, value]) => [field, value.toString()]));
}

export interface EntryRange {
  /** As ZRANGE takes them with BYLEX. */
  readonly from: string;
  readonly to: string;
  readonly limit: number;
}

/**
 * Of a sorted set. All must be found, whatever somebody put among them: those that are too long, or no UTF-8, are
 * removed.
 */
export async function readEntries(
  client: RedisClient,
  name: string,
  { from, to, limit }: EntryRange,
): Promise<string[]> {
  const kind = kindOf(name, 'zset');
  const found = await askTidied(client, name, kind, from, to, limit);
  if (found === undefined) throw damaged(name, 'has entries with scores, too long ones, or ones that are no UTF-8');
  return arrayOf(name, kind, found).map(String);
}

/** Of a list, the last one included. */
export async function readElements(client: RedisClient, name: string, from: number, to: number): Promise<Buffer[]> {
  const elements = await readEachElement(client, name, from, to);
  return elements.map((element) => {
    if (element instanceof DamagedValueError) throw element;
    return element;
  });
}

/** The same where one that is too long hides none of the others: what is wrong with it is in its place. */
export async function readEachElement(
  client: RedisClient,
  name: string,
  from: number,
  to: number,
): Promise<(Buffer | DamagedValueError)[]> {
  const kind = kindOf(name, 'list');
  const elements = await read(client, name, kind, from, to);
  return elements.map((element, i) => orDamage(() => shortOf(`element ${from + i} of ${name}`, element, kind)!));
}

export interface PageOfFields {
  /** Of the next page; '0' after the last. */
  readonly cursor: string;
  readonly fields: readonly (readonly [field: string, value: Buffer])[];
  /** What is wrong with each of those that are too long. */
  readonly damaged: readonly string[];
}

/** One page is one line of a backup, and a hundred are read at once. */
const PAGE_BYTES = 256 * 1024;

/** As HSCAN, and fewer of what is long. */
export async function pageOfFields(
  client: RedisClient,
  name: string,
  { cursor, count }: { readonly cursor: string; readonly count: number },
): Promise<PageOfFields> {
  const kind = kindOf(name, 'hash');
  const page = await read(client, name, kind, 'page', cursor, count, PAGE_BYTES);
  const [next = null, flat = []] = page as [Found?, Found[]?];
  const fields: (readonly [string, Buffer])[] = [];
  const damages: string[] = [];
  for (let i = 0; i < flat.length; i += 2) {
    try {
      const field = String(shortOf(`the name of a field of ${name}`, flat[i], kind));
      fields.push([field, shortOf(`${name} ${field}`, flat[i + 1], kind)!]);
    } catch (error) {
      if (!(error instanceof DamagedValueError)) throw error;
      damages.push(error.message);
    }
  }
  return { cursor: next === null ? '0' : String(next), fields, damaged: damages };
}

/** What Redis says of a command for another type, also of one in a script. */
export function isOfOtherType(error: unknown): boolean {
  return error instanceof Error && error.message.includes('WRONGTYPE');
}

/** Of one of these names, where a command for its kind was refused. */
export function ofOtherType(...names: readonly string[]): DamagedValueError {
  return damaged(names.join(' or '), `is not of the type that it should be`);
}

async function read(
  client: RedisClient,
  name: string,
  kind: Kind,
  ...args: readonly (string | number)[]
): Promise<Found[]> {
  return arrayOf(name, kind, await askFor(client, name, kind, ...args));
}

function arrayOf(name: string, { type }: Kind, found: Found[] | Buffer): Found[] {
  if (Array.isArray(found)) return found;
  throw damaged(name, `is a ${found.toString()}, and should be a ${type}`);
}

function kindOf(name: string, type: Kind['type']): Kind {
  return storedValueOf(name) ?? { type, maxBytes: UNKNOWN_BYTES };
}

function shortOf(what: string, value: Found | undefined, { maxBytes }: Kind): Buffer | undefined {
  if (typeof value === 'number') throw damaged(what, `has ${value} bytes, and never has more than ${maxBytes}`);
  return value ?? undefined;
}

function orDamage<T>(look: () => T): T | DamagedValueError {
  try {
    return look();
  } catch (error) {
    if (error instanceof DamagedValueError) return error;
    throw error;
  }
}

function damaged(what: string, problem: string): DamagedValueError {
  const shown = what.length > SHOWN_NAME ? `${what.slice(0, SHOWN_NAME)}...` : what;
  return new DamagedValueError(
    `${shown} ${problem}: somebody put it there. See docs/recovery.md, "What somebody put into Redis"`,
  );
}
