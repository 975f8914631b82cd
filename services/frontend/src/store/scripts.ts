import { ALL_OR_NOTHING, FENCE, type ScriptPart } from './record-fence.ts';
import { aliasScripts } from './alias-scripts.ts';
import { grantScripts } from './grant-scripts.ts';
import { iamScripts } from './iam-scripts.ts';
import { storedValues } from '@keyfleet/shared/stored/names';
import type { RedisClient, RedisCommands } from '@keyfleet/shared/redis/connect';

const NUMBER_BYTES = 16;
/** No account has as many frontends. */
const MOST_SENDERS = 1000;

/**
 * The revision in the record, which has a MAC, and not the field beside it: whoever wrote that once would keep the key
 * from being changed for ever. Records of the first releases do not begin with theirs.
 */
const revisionOf = `
local function revision()
  local record = redis.call('HGET', KEYS[1], 'record') or ''
  return string.match(record, '^{"schemaVersion":%d+,"revision":(%d+)[,}]') or short(KEYS[1], 'revision', ${NUMBER_BYTES})
end`;

/**
 * A date, in milliseconds since the epoch, that a frontend may have written, whose clock is within ten minutes; else 0.
 * What is dated ahead would count for ever.
 */
const dateOf = `
local latest = redis.call('TIME')[1] * 1000 + 600000
local function dateOf(value)
  local date = tonumber(string.match(tostring(value), '^%d+$') or 0)
  return date <= latest and date or 0
end`;

/**
 * Each runs in Redis as one step. A script names its keys, all under one hash tag, so that it works on a Redis Cluster.
 * Every change to something that a frontend may have cached publishes its name on the channel in the same step.
 */
const scripts = {
  /**
   * KEYS: record, events. ARGV: JSON, its due entry or '', its first revision. 0: it already exists, or the deletion of
   * an earlier key of this id is not finished.
   */
  kfInsertRecord: [
    2,
    `
if redis.call('EXISTS', KEYS[1], KEYS[2]) > 0 then return 0 end
redis.call('HSET', KEYS[1], 'revision', ARGV[3], 'record', ARGV[1], 'due', ARGV[2])
return 1`,
  ],
  /**
   * KEYS: record, events. ARGV: revision it was read at, JSON, its due entry or '', channel, name; and with an event:
   * its id, its text, until when the writer has it claimed. Returns the record's previous due entry, or ''. 0: somebody
   * else was faster.
   */
  kfUpdateRecord: [
    2,
    `${revisionOf}
if revision() ~= ARGV[1] then return 0 end
local due = short(KEYS[1], 'due', ${storedValues.due.maxBytes})
redis.call('HSET', KEYS[1], 'revision', string.format('%.0f', ARGV[1] + 1), 'record', ARGV[2], 'due', ARGV[3])
if ARGV[6] then redis.call('HSET', KEYS[2], ARGV[6], ARGV[7], 'claimedUntil', ARGV[8]) end
redis.call('PUBLISH', ARGV[4], ARGV[5])
return due`,
  ],
  /** KEYS: record, events. ARGV: revision, channel, name, ids and texts of events. 0: the revision is another. */
  kfDeleteRecord: [
    2,
    `${revisionOf}
if redis.call('EXISTS', KEYS[1]) == 0 then return 1 end
if revision() ~= ARGV[1] then return 0 end
redis.call('UNLINK', KEYS[1])
redis.call('HSET', KEYS[2], unpack(ARGV, 4))
redis.call('PUBLISH', ARGV[2], ARGV[3])
return 1`,
  ],
  /**
   * KEYS: events. ARGV: now and the claim's end, in milliseconds since the epoch. 0: they are claimed, for no longer
   * than anybody claims them.
   */
  kfClaimEvents: [
    1,
    `
local till = tonumber(string.match(short(KEYS[1], 'claimedUntil', ${NUMBER_BYTES}), '^%d+$') or 0)
if till > tonumber(ARGV[1]) and till <= ARGV[2] + 600000 then return 0 end
if redis.call('HLEN', KEYS[1]) == redis.call('HEXISTS', KEYS[1], 'claimedUntil') then redis.call('UNLINK', KEYS[1])
else redis.call('HSET', KEYS[1], 'claimedUntil', ARGV[2]) end
return 1`,
  ],
  /** KEYS: events. ARGV: ids. */
  kfForgetEvents: [
    1,
    `
redis.call('HDEL', KEYS[1], unpack(ARGV))
if redis.call('HLEN', KEYS[1]) == redis.call('HEXISTS', KEYS[1], 'claimedUntil') then redis.call('UNLINK', KEYS[1]) end
return 1`,
  ],
  /**
   * KEYS: access key, its use. ARGV: milliseconds since the epoch, JSON. 0: a later use is stored, or the access key is
   * gone.
   */
  kfKeepAccessKeyUse: [
    2,
    `${dateOf}
if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
local kept = redis.pcall('GETRANGE', KEYS[2], 0, 8191)
local isRecord, use = pcall(cjson.decode, type(kept) == 'string' and kept or '')
if isRecord and type(use) == 'table' and dateOf(use['usedAt']) > tonumber(ARGV[1]) then return 0 end
redis.call('SET', KEYS[2], ARGV[2])
return 1`,
  ],
  ...aliasScripts,
  ...iamScripts,
  ...grantScripts,
  /**
   * KEYS: custom key stores, the keys in them. ARGV: JSON as it was read or '', the new JSON, a prefix that no entry
   * may have or '', channel, message.
   */
  kfReplaceKeyStores: [
    2,
    `
if (redis.call('GET', KEYS[1]) or '') ~= ARGV[1] then return 'changed' end
local prefix = ARGV[3]
if prefix ~= '' and redis.call('ZLEXCOUNT', KEYS[2], '[' .. prefix, '(' .. string.sub(prefix, 1, -2) .. '0') > 0 then return 'used' end
redis.call('SET', KEYS[1], ARGV[2])
redis.call('PUBLISH', ARGV[4], ARGV[5])
return 'done'`,
  ],
  /**
   * KEYS as before. ARGV: JSON as it was read, the prefix of the place's entries, the entry of the key that takes the
   * place.
   */
  kfClaimKeyPlace: [
    2,
    `
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 'changed' end
local prefix = ARGV[2]
if redis.call('ZLEXCOUNT', KEYS[2], '[' .. prefix, '(' .. string.sub(prefix, 1, -2) .. '0') > 0 then return 'used' end
redis.call('ZADD', KEYS[2], 0, ARGV[3])
return 'done'`,
  ],
  /**
   * KEYS: rates. ARGV: the sender, its rates, for how many milliseconds they count. Returns the other senders' rates
   * that still count. One that is dated ahead was not told by a frontend, and would count for ever. All go where there
   * are more, or longer ones, than frontends tell: reading those would take Redis twice their memory.
   */
  kfExchangeRates: [
    1,
    `
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local all, told, cursor = {}, {}, '0'
repeat
  local some = redis.call('HSCAN', KEYS[1], cursor, 'COUNT', 1)
  cursor = some[1]
  for _, text in ipairs(some[2]) do
    if #all == ${2 * MOST_SENDERS} or #text > ${storedValues.rates.maxBytes} then
      redis.call('UNLINK', KEYS[1])
      all, cursor = {}, '0'
      break
    end
    table.insert(all, text)
  end
until cursor == '0'
for i = 1, #all, 2 do
  local at, asked = string.match(all[i + 1], '^(%d+) (.*)$')
  if not at or math.abs(now - tonumber(at)) > tonumber(ARGV[3]) then redis.call('HDEL', KEYS[1], all[i])
  elseif all[i] ~= ARGV[1] then table.insert(told, asked) end
end
redis.call('HSET', KEYS[1], ARGV[1], string.format('%.0f', now) .. ' ' .. ARGV[2])
redis.call('PEXPIRE', KEYS[1], 10000)
return told`,
  ],
  /** KEYS: value. ARGV: the new value. 0: there is one already. */
  kfInsertValue: [1, `return redis.call('SETNX', KEYS[1], ARGV[1])`],
  /** KEYS: value. ARGV: the value as it was read, the new value. 0: it has changed meanwhile. */
  kfReplaceValue: [
    1,
    `
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[2])
return 1`,
  ],
  /** KEYS: hash. ARGV: field, its value as it was read, its new value. 0: it has changed meanwhile. */
  kfReplaceField: [
    1,
    `
if redis.call('HGET', KEYS[1], ARGV[1]) ~= ARGV[2] then return 0 end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[3])
return 1`,
  ],
  /** KEYS: hash. ARGV: field, its value as it was read. 0: it has changed meanwhile. */
  kfDropField: [
    1,
    `
if redis.call('HGET', KEYS[1], ARGV[1]) ~= ARGV[2] then return 0 end
redis.call('HDEL', KEYS[1], ARGV[1])
return 1`,
  ],
  /**
   * KEYS: number of the oldest record key. ARGV: the number that it is at least. Replaces what is none: whoever once
   * wrote Redis may have left that there, or removed it.
   */
  kfNoteRecordKey: [
    1,
    `
if numberAt(KEYS[1]) < tonumber(ARGV[1]) then redis.call('SET', KEYS[1], ARGV[1]) end
return 1`,
  ],
  /**
   * KEYS: fence. ARGV: number of the oldest record key that is let through from now on, and of the newest that there
   * is: whoever writes Redis can put up a fence before a higher one, which would keep everyone from writing.
   */
  kfRaiseFence: [
    1,
    `
local stands = numberAt(KEYS[1])
if stands < tonumber(ARGV[1]) or stands > tonumber(ARGV[2]) then redis.call('SET', KEYS[1], ARGV[1]) end
return 1`,
  ],
} as const satisfies Record<string, readonly [number, string]>;

/** Scripts for any number of keys of one slot. Their number comes before the keys. */
const scriptsForMany = {
  /**
   * KEYS: records. ARGV: for each, milliseconds since the epoch and JSON. Passes over a record that is gone, or has a
   * later use, and over what is none. Caches do not hold it.
   */
  kfKeepLastUsages: `${dateOf}
for i = 1, #KEYS - 1 do
  local at, text = ARGV[2 * i - 1], ARGV[2 * i]
  if redis.call('TYPE', KEYS[i]).ok == 'hash' and dateOf(short(KEYS[i], 'usedAt', ${NUMBER_BYTES})) <= tonumber(at) then
    redis.call('HSET', KEYS[i], 'usedAt', at, 'lastUsage', text)
  end
end
return 1`,
} as const;

export type ScriptName = keyof typeof scripts;
export type ScriptForManyName = keyof typeof scriptsForMany;

/** Keys first, then arguments. */
export type Script = (...parts: readonly ScriptPart[]) => Promise<unknown>;

/** Defines the scripts on the client: they then run by hash and are pipelined like any command. */
export function defineScripts(client: RedisClient): void {
  for (const [name, [numberOfKeys, lua]] of Object.entries(scripts))
    client.defineCommand(name, { numberOfKeys: numberOfKeys + 1, lua: FENCE + ALL_OR_NOTHING + lua });
  for (const [name, lua] of Object.entries(scriptsForMany)) client.defineCommand(name, { lua: FENCE + lua });
}

/**
 * Runs a script by its text. By its hash, one that Redis does not have would be sent a second time, behind what was to
 * come after it in a pipeline, such as WAIT.
 */
export function evalScript(client: RedisCommands, name: ScriptName, parts: readonly ScriptPart[]): unknown {
  const [numberOfKeys, lua] = scripts[name];
  return client.eval(FENCE + ALL_OR_NOTHING + lua, numberOfKeys + 1, ...parts);
}

export function numberOfKeysOf(name: ScriptName): number {
  return scripts[name][0];
}
