/** `<how>/<kind>/<name>/...`: the record of that kind and name. */
const iamTargets = `
local function hasAll(links)
  for _, link in ipairs(links) do
    local kind, name = string.match(link, '^[^/]+/([^/]+)/([^/]+)/')
    if kind ~= 'aws-policy' and kind ~= 'access-key' and redis.call('HEXISTS', KEYS[1], kind .. '/' .. name) == 0 then return false end
  end
  return true
end`;

/** Scripts for IAM records; those for other records are in scripts.ts. */
export const iamScripts = {
  /**
   * KEYS: IAM records, their names, their links. ARGV: field, JSON, prefix of its kind, quota, channel, message, its
   * links (JSON). Every link's target must exist; AWS's own policies always do.
   */
  kfInsertIam: [
    3,
    `${iamTargets}
if redis.call('HEXISTS', KEYS[1], ARGV[1]) == 1 then return 'taken' end
local prefix = string.sub(ARGV[3], 1, -2)
if redis.call('ZLEXCOUNT', KEYS[2], '[' .. ARGV[3], '(' .. prefix .. '0') >= tonumber(ARGV[4]) then return 'full' end
local links = cjson.decode(ARGV[7])
if not hasAll(links) then return 'missing' end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
redis.call('ZADD', KEYS[2], 0, ARGV[1])
for _, link in ipairs(links) do redis.call('ZADD', KEYS[3], 0, link) end
redis.call('PUBLISH', ARGV[5], ARGV[6])
return 'done'`,
  ],
  /**
   * KEYS as before. ARGV: field, revision it was read at, JSON, channel, message, links to remove, links to add, its
   * new field.
   */
  kfUpdateIam: [
    3,
    `${iamTargets}
local old = redis.call('HGET', KEYS[1], ARGV[1])
if not old or tostring(cjson.decode(old)['revision']) ~= ARGV[2] then return 'changed' end
local come = cjson.decode(ARGV[7])
if not hasAll(come) then return 'missing' end
if ARGV[8] ~= ARGV[1] then
  if redis.call('HEXISTS', KEYS[1], ARGV[8]) == 1 then return 'taken' end
  redis.call('HDEL', KEYS[1], ARGV[1])
  redis.call('ZREM', KEYS[2], ARGV[1])
  redis.call('ZADD', KEYS[2], 0, ARGV[8])
end
redis.call('HSET', KEYS[1], ARGV[8], ARGV[3])
for _, link in ipairs(cjson.decode(ARGV[6])) do redis.call('ZREM', KEYS[3], link) end
for _, link in ipairs(come) do redis.call('ZADD', KEYS[3], 0, link) end
redis.call('PUBLISH', ARGV[4], ARGV[5])
return 'done'`,
  ],
  /** KEYS as before. ARGV: field, revision it was read at, channel, message, its links. */
  kfRemoveIam: [
    3,
    `
local old = redis.call('HGET', KEYS[1], ARGV[1])
if not old or tostring(cjson.decode(old)['revision']) ~= ARGV[2] then return 'changed' end
for _, how in ipairs({'attached', 'boundary', 'member'}) do
  local to = how .. '/' .. ARGV[1]
  if redis.call('ZLEXCOUNT', KEYS[3], '[' .. to .. '/', '(' .. to .. '0') > 0 then return 'linked' end
end
redis.call('HDEL', KEYS[1], ARGV[1])
redis.call('ZREM', KEYS[2], ARGV[1])
for _, link in ipairs(cjson.decode(ARGV[5])) do redis.call('ZREM', KEYS[3], link) end
redis.call('PUBLISH', ARGV[3], ARGV[4])
return 'done'`,
  ],
} as const;
