import { storedValues } from '@keyfleet/shared/stored/names';

/** Scripts for aliases; those for other records are in scripts.ts. */
export const aliasScripts = {
  /** KEYS: aliases, names, targets. ARGV: name, JSON, target, quota, channel, message. */
  kfInsertAlias: [
    3,
    `
if redis.call('HEXISTS', KEYS[1], ARGV[1]) == 1 then return 'taken' end
if redis.call('ZLEXCOUNT', KEYS[3], '[' .. ARGV[3] .. '/', '(' .. ARGV[3] .. '0') >= tonumber(ARGV[4]) then return 'full' end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
redis.call('ZADD', KEYS[2], 0, ARGV[1])
redis.call('ZADD', KEYS[3], 0, ARGV[3] .. '/' .. ARGV[1])
redis.call('PUBLISH', ARGV[5], ARGV[6])
return 'done'`,
  ],
  /** KEYS and ARGV as before, then the present target. */
  kfUpdateAlias: [
    3,
    `
local old = redis.call('HGET', KEYS[1], ARGV[1])
if not old then return 'missing' end
local target = cjson.decode(old)['targetKeyId']
if target ~= ARGV[7] then return 'moved' end
if target ~= ARGV[3] then
  if redis.call('ZLEXCOUNT', KEYS[3], '[' .. ARGV[3] .. '/', '(' .. ARGV[3] .. '0') >= tonumber(ARGV[4]) then return 'full' end
  redis.call('ZREM', KEYS[3], target .. '/' .. ARGV[1])
  redis.call('ZADD', KEYS[3], 0, ARGV[3] .. '/' .. ARGV[1])
end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
redis.call('PUBLISH', ARGV[5], ARGV[6])
return 'done'`,
  ],
  /**
   * KEYS: aliases, names, targets. ARGV: name, the present target, channel, message. 0: there was none. 2: it has
   * another target.
   */
  kfDeleteAlias: [
    3,
    `
local old = redis.call('HGET', KEYS[1], ARGV[1])
if not old then return 0 end
if cjson.decode(old)['targetKeyId'] ~= ARGV[2] then return 2 end
redis.call('HDEL', KEYS[1], ARGV[1])
redis.call('ZREM', KEYS[2], ARGV[1])
redis.call('ZREM', KEYS[3], ARGV[2] .. '/' .. ARGV[1])
redis.call('PUBLISH', ARGV[3], ARGV[4])
return 1`,
  ],
  /**
   * KEYS: aliases, names, targets. ARGV: target, channel, message without the name, how many at most. The alias's
   * record decides, not the list of targets. Returns how many entries it took from that.
   */
  kfDeleteAliasesOf: [
    3,
    `
local members = redis.call('ZRANGEBYLEX', KEYS[3], '[' .. ARGV[1] .. '/', '(' .. ARGV[1] .. '0', 'LIMIT', 0, ARGV[4])
for _, member in ipairs(members) do
  local name = string.sub(member, #ARGV[1] + 2)
  redis.call('ZREM', KEYS[3], member)
  local isRecord, record = pcall(cjson.decode, short(KEYS[1], name, ${storedValues.aliases.maxBytes}))
  if isRecord and type(record) == 'table' and record['targetKeyId'] == ARGV[1] then
    redis.call('HDEL', KEYS[1], name)
    redis.call('ZREM', KEYS[2], name)
    redis.call('PUBLISH', ARGV[2], ARGV[3] .. name)
  end
end
return #members`,
  ],
} as const;
