import { isCluster, type RedisClient } from '@keyfleet/shared/redis/connect';
import { slotOf, tagsOfSlots } from '@keyfleet/shared/redis/slots';
import { lasting, recordFenceAt, type StoredKind, storedValues } from '@keyfleet/shared/stored/names';
import type { AuthenticRecord } from './record-mac.ts';

export type ScriptPart = string | number | Buffer;

/**
 * Stands before each script. The last of KEYS: the fence. The last of ARGV: the number of the record key that what is
 * written has its MACs under, or ''. What was held up on its way must not be written under a key that may be dropped by
 * now. A fence that is no number is none. `short`: a field, or '' for one that is longer than ours. How deep cjson
 * reads is one setting for all scripts: whoever once ran one may have changed it.
 */
export const FENCE = `
cjson.decode_max_depth(1000)
local function numberAt(name)
  local text = redis.pcall('GETRANGE', name, 0, 9)
  return tonumber(type(text) == 'string' and #text < 10 and string.match(text, '^[1-9]%d*$') or 0)
end
local function short(name, field, most)
  return redis.call('HSTRLEN', name, field) <= most and redis.call('HGET', name, field) or ''
end
local under = table.remove(ARGV)
if under ~= '' and numberAt(KEYS[#KEYS]) > tonumber(under) then
  return redis.error_reply('FENCED record key ' .. under .. ' is being dropped')
end
`;

/** Strings, which are replaced, whatever stands there. */
const replaced: ReadonlySet<StoredKind> = new Set(['recordKeys', 'recordFence', 'accessKeyUse']);
const types = [...lasting]
  .filter((kind) => !replaced.has(kind))
  .map((kind) => `['${kindOf(kind)}'] = '${storedValues[kind].type}'`);

/** What its names begin with. */
function kindOf(kind: StoredKind): string {
  return /^kf:[^:{]+/.exec(storedValues[kind].name)![0];
}

/**
 * Stands before each script that writes several values, after the fence. Redis undoes nothing of a script that fails:
 * each of its KEYS is of its kind's type, or nothing is done. A date on which one is to vanish is none of ours. What a
 * string replaces is unlinked before: a SET would have Redis free millions of fields at once, and answer nobody.
 */
export const ALL_OR_NOTHING = `
local types = { ${types.join(', ')} }
local replaced = { ${[...replaced].map((kind) => `['${kindOf(kind)}'] = true`).join(', ')} }
for i = 1, #KEYS - 1 do
  local kind = string.match(KEYS[i], '^kf:[^:{]+')
  local found = redis.call('TYPE', KEYS[i]).ok
  if types[kind] and found ~= 'none' and found ~= types[kind] then
    return redis.error_reply('WRONGTYPE ' .. kind .. ' is a ' .. found)
  end
  if replaced[kind] and found ~= 'none' and found ~= 'string' then redis.call('UNLINK', KEYS[i]) end
  if types[kind] and redis.call('PTTL', KEYS[i]) > 0 then redis.call('PERSIST', KEYS[i]) end
end
`;

/** A script's keys and the fence, then its arguments and the number of the record key. */
export function fenced(
  parts: readonly (ScriptPart | AuthenticRecord)[],
  { keys, fence }: { readonly keys: number; readonly fence: string },
): ScriptPart[] {
  const numbers = parts.flatMap((part) => (isRecord(part) ? [part.keyNumber] : []));
  const all = parts.map((part) => (isRecord(part) ? part.text : part));
  return [...all.slice(0, keys), fence, ...all.slice(keys), numbers.length === 0 ? '' : Math.min(...numbers)];
}

function isRecord(part: ScriptPart | AuthenticRecord): part is AuthenticRecord {
  return typeof part === 'object' && 'keyNumber' in part;
}

/** Of a Redis that is no cluster. */
const ONE = recordFenceAt('0');

/** A script reads only the slot that it writes to: in a Redis Cluster each has a fence. */
export function fenceOf(client: RedisClient, key: string): string {
  return isCluster(client) ? recordFenceAt(tagsOfSlots()[slotOf(key)]!) : ONE;
}
export function fencesOf(client: RedisClient): readonly string[] {
  return isCluster(client) ? tagsOfSlots().map(recordFenceAt) : [ONE];
}
