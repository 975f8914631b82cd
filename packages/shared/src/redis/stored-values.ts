import { type StoredValue, storedValueOf } from '../stored/names.ts';
import type { RedisClient } from './connect.ts';

/**
 * KEYS: value. ARGV: the type that it is to be of, the most bytes; then of a hash either fields, or 'page', a cursor,
 * how many, and how many bytes; of a sorted set a range and how many; of a list the first and the last element. In the
 * place of what is longer, its length, which is sent alone. Of a value of another type, the type; of a sorted set
 * 'scored' if entries have another score than 0, and no range finds all, and 'long' if an entry is longer. Redis takes
 * twice the memory of what a script reads: entries, elements and fields that may be long are read one at a time.
 */
const READ = `
local type, most, what = ARGV[1], tonumber(ARGV[2]), ARGV[3]
local found = redis.call('TYPE', KEYS[1]).ok
if found == 'none' then return {} end
if found ~= type then return found end
local function short(value) return #value > most and #value or value end
if type == 'string' then
  local length = redis.call('STRLEN', KEYS[1])
  return { length > most and length or redis.call('GET', KEYS[1]) }
end
if type == 'zset' then
  if redis.call('ZCOUNT', KEYS[1], '-inf', '(0') + redis.call('ZCOUNT', KEYS[1], '(0', '+inf') > 0 then return 'scored' end
  local entries = {}
  while #entries < tonumber(ARGV[5]) do
    local entry = redis.call('ZRANGEBYLEX', KEYS[1], what, ARGV[4], 'LIMIT', 0, 1)[1]
    if not entry then break end
    if #entry > most then return 'long' end
    table.insert(entries, entry)
    what = '(' .. entry
  end
  return entries
end
if type == 'list' then
  local elements = {}
  for i = tonumber(what), tonumber(ARGV[4]) do
    local element = redis.call('LINDEX', KEYS[1], i)
    if not element then break end
    table.insert(elements, short(element))
  end
  return elements
end
if what == 'page' then
  local cursor, flat, bytes = ARGV[4], {}, 0
  repeat
    local some = redis.call('HSCAN', KEYS[1], cursor, 'COUNT', 1)
    cursor = some[1]
    for _, value in ipairs(some[2]) do
      table.insert(flat, short(value))
      bytes = bytes + math.min(#value, most)
    end
  until cursor == '0' or #flat >= 2 * tonumber(ARGV[5]) or bytes >= tonumber(ARGV[6])
  return { cursor, flat }
end
local values = {}
for i = 4, #ARGV do
  local length = redis.call('HSTRLEN', KEYS[1], ARGV[i])
  values[i - 3] = length > most and length or redis.call('HGET', KEYS[1], ARGV[i])
end
return values`;

/**
 * KEYS: sorted set. ARGV: the most bytes, a range, after how many entries to stop. Gives a thousand of its entries the
 * score that all of ours have, and removes a megabyte of those that are longer, or one: no service reads them.
 */
const TIDY = `
local most, what, seen, bytes = tonumber(ARGV[1]), ARGV[2], 0, 0
local function remove(entry)
  redis.call('ZREM', KEYS[1], entry)
  bytes = bytes + #entry
end
for _, range in ipairs({{'-inf', '(0'}, {'(0', '+inf'}}) do
  for _ = 1, 500 do
    local entry = redis.call('ZRANGEBYSCORE', KEYS[1], range[1], range[2], 'LIMIT', 0, 1)[1]
    if not entry or bytes >= 1048576 then break end
    if #entry > most then remove(entry) else redis.call('ZADD', KEYS[1], 0, entry) end
  end
end
while seen < tonumber(ARGV[4]) and bytes < 1048576 do
  local entry = redis.call('ZRANGEBYLEX', KEYS[1], what, ARGV[3], 'LIMIT', 0, 1)[1]
  if not entry then break end
  if #entry > most then remove(entry)
  else
    seen = seen + 1
    what = '(' .. entry
  end
end`;
/** Of a list that somebody filled with millions the next reader does the rest. */
const TIDIES = 100;

type Found = Buffer | number | null;

/**
 * Missing from the types of ioredis. A master that is about to hand over holds up EVAL, as all that may write, and not
 * this.
 */
interface EvalReadOnly {
  eval_roBuffer(script: string, keys: number, ...args: readonly (string | number)[]): Promise<Found[] | Buffer>;
}

type Kind = Pick<StoredValue, 'type' | 'maxBytes'>;

/** Something that no service stores there. The message names the value and says what to do. */
export class DamagedValueError extends Error {
  override name = 'DamagedValueError';
}

/** For a `catch`: what is damaged is as if it were not there. Throws any other error. */
export function unlessDamaged(error: unknown): undefined {
  if (!(error instanceof DamagedValueError)) throw error;
}

const SCORED = 'scored';
const LONG = 'long';

/** The greatest length of what this release does not know: a newer one may have put it there. */
const UNKNOWN_BYTES = 1024 * 1024;
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
  return fields.map((field, i) => {
    try {
      return shortOf(`${name} ${field}`, values[i], kind);
    } catch (error) {
      return error as DamagedValueError;
    }
  });
}

/**
 * The same in UTF-8, of hashes that are read again and again: what is longer than `maxBytes` is as if it were not
 * there, and so is a value of another type.
 */
export async function readShortFields<F extends string>(
  client: RedisClient,
  name: string,
  { maxBytes, fields }: { readonly maxBytes: number; readonly fields: readonly F[] },
): Promise<ReadonlyMap<F, string>> {
  const found = await ask(client, name, { type: 'hash', maxBytes }, 'fields', ...fields);
  const short = Array.isArray(found) ? fields.map((field, i) => [field, found[i]] as const) : [];
  return new Map(short.flatMap(([field, value]) => (Buffer.isBuffer(value) ? [[field, value.toString()]] : [])));
}

export interface EntryRange {
  /** As ZRANGE takes them with BYLEX. */
  readonly from: string;
  readonly to: string;
  readonly limit: number;
}

/** Of a sorted set. All must be found, whatever somebody put among them: those that are too long are removed. */
export async function readEntries(
  client: RedisClient,
  name: string,
  { from, to, limit }: EntryRange,
): Promise<string[]> {
  const kind = kindOf(name, 'zset');
  for (let tidied = 0; tidied < TIDIES; tidied++) {
    const found = await ask(client, name, kind, from, to, limit);
    if (Array.isArray(found)) return found.map(String);
    const problem = found.toString();
    if (problem !== SCORED && problem !== LONG) throw damaged(name, `is a ${problem}, and should be a ${kind.type}`);
    await client.eval(TIDY, 1, name, kind.maxBytes, from, to, limit);
  }
  throw damaged(name, 'has entries with scores, or too long ones');
}

/** Of a list, the last one included. */
export async function readElements(client: RedisClient, name: string, from: number, to: number): Promise<Buffer[]> {
  const kind = kindOf(name, 'list');
  const elements = await read(client, name, kind, from, to);
  return elements.map((element, i) => shortOf(`element ${from + i} of ${name}`, element, kind)!);
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
  { type, maxBytes }: Kind,
  ...args: readonly (string | number)[]
): Promise<Found[]> {
  const found = await ask(client, name, { type, maxBytes }, ...args);
  if (Array.isArray(found)) return found;
  throw damaged(name, `is a ${found.toString()}, and should be a ${type}`);
}

function ask(
  client: RedisClient,
  name: string,
  { type, maxBytes }: Kind,
  ...args: readonly (string | number)[]
): Promise<Found[] | Buffer> {
  return (client as RedisClient & EvalReadOnly).eval_roBuffer(READ, 1, name, type, maxBytes, ...args);
}

function kindOf(name: string, type: Kind['type']): Kind {
  return storedValueOf(name) ?? { type, maxBytes: UNKNOWN_BYTES };
}

function shortOf(what: string, value: Found | undefined, { maxBytes }: Kind): Buffer | undefined {
  if (typeof value === 'number') throw damaged(what, `has ${value} bytes, and never has more than ${maxBytes}`);
  return value ?? undefined;
}

function damaged(what: string, problem: string): DamagedValueError {
  const shown = what.length > SHOWN_NAME ? `${what.slice(0, SHOWN_NAME)}...` : what;
  return new DamagedValueError(
    `${shown} ${problem}: somebody put it there. See docs/recovery.md, "What somebody put into Redis"`,
  );
}
