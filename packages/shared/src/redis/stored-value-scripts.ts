import { isUtf8 } from 'node:buffer';
import type { StoredValue } from '../stored/names.ts';
import type { RedisClient } from './connect.ts';

/**
 * KEYS: value. ARGV: the type that it is to be of, the most bytes; then of a hash either fields, or 'page', a cursor,
 * how many, and how many bytes; of a sorted set a range and how many; of a list the first and the last element. In the
 * place of what is longer, its length, which is sent alone. Of a value of another type, the type; of a sorted set
 * 'scored' if entries have another score than 0, and no range finds all, and 'long' if an entry is longer. Redis takes
 * twice the memory of what a script reads: entries, elements and fields that may be long are read one at a time. A
 * thousand entries then cost it eight times as much as in one go. So a sorted set of up to 10,000 entries is measured
 * first: if it has four megabytes at most, it is read in one go, whatever is in it. To measure a hundred entries costs
 * about as much as to read one by itself, so that is done only where at least a hundredth of them is read.
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
  local card = redis.call('ZCARD', KEYS[1])
  local wanted = math.min(tonumber(ARGV[5]), redis.call('ZLEXCOUNT', KEYS[1], what, ARGV[4]))
  if wanted == 0 then return {} end
  local pays = card <= 10000 and card <= 100 * wanted
  if pays and redis.call('MEMORY', 'USAGE', KEYS[1], 'SAMPLES', 0) <= 4194304 then
    local all = redis.call('ZRANGEBYLEX', KEYS[1], what, ARGV[4], 'LIMIT', 0, ARGV[5])
    for _, entry in ipairs(all) do if #entry > most then return 'long' end end
    return all
  end
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
/** Of entries that are no UTF-8, however few the reader asked for. */
const TIDIED_AT_ONCE = 1_000;

export type Found = Buffer | number | null;

/**
 * Missing from the types of ioredis. A master that is about to hand over holds up EVAL, as all that may write, and not
 * this.
 */
interface EvalReadOnly {
  eval_roBuffer(script: string, keys: number, ...args: readonly (string | number)[]): Promise<Found[] | Buffer>;
}

export type Kind = Pick<StoredValue, 'type' | 'maxBytes'>;

/** The type of what stands there, or what is wrong with a sorted set, in the place of an array. */
export function askFor(
  client: RedisClient,
  name: string,
  { type, maxBytes }: Kind,
  ...args: readonly (string | number)[]
): Promise<Found[] | Buffer> {
  return (client as RedisClient & EvalReadOnly).eval_roBuffer(READ, 1, name, type, maxBytes, ...args);
}

/**
 * The same of a sorted set, which is tidied first where it has to be. Undefined if more than that is left to do.
 * Entries that are no UTF-8 go: whoever reads on after one, or removes it, would name another.
 */
export async function askTidied(
  client: RedisClient,
  name: string,
  kind: Kind,
  ...range: readonly (string | number)[]
): Promise<Found[] | Buffer | undefined> {
  for (let tidied = 0; tidied < TIDIES; tidied++) {
    const found = await askFor(client, name, kind, ...range);
    const others = othersIn(found);
    if (others.length > 0) {
      const [from = '-', to = '+'] = range;
      const more = await askFor(client, name, kind, from, to, TIDIED_AT_ONCE);
      await client.zrem(name, ...others, ...othersIn(more));
    } else if (Array.isArray(found) || !['scored', 'long'].includes(found.toString())) return found;
    else await client.eval(TIDY, 1, name, kind.maxBytes, ...range);
  }
  return undefined;
}

function othersIn(found: Found[] | Buffer): Buffer[] {
  return Array.isArray(found) ? found.filter((one) => Buffer.isBuffer(one)).filter((one) => !isUtf8(one)) : [];
}
