/**
 * A link is `<how>/<kind>/<name>/...`: to the record of that kind and name. `moved`: the fields that records had before
 * (false) and have from now on (true), if they change.
 */
const iamTargets = `
local function targetOf(link)
  local kind, name = string.match(link, '^[^/]+/([^/]+)/([^/]+)/')
  return kind .. '/' .. name, kind
end
local function hasAll(links, moved)
  for _, link in ipairs(links) do
    local target, kind = targetOf(link)
    local there = moved[target]
    if there == nil then there = kind == 'aws-policy' or kind == 'access-key' or redis.call('HEXISTS', KEYS[1], target) == 1 end
    if not there then return false end
  end
  return true
end
local function countLinksTo(field)
  local count = 0
  for _, how in ipairs({'attached', 'boundary', 'member'}) do
    local to = how .. '/' .. field
    count = count + redis.call('ZLEXCOUNT', KEYS[3], '[' .. to .. '/', '(' .. to .. '0')
  end
  return count
end
local function versionOf(text)
  local record = cjson.decode(text)
  return record['id'] .. ' ' .. tostring(record['revision'])
end`;

/**
 * Which record of a name it is, and which revision of that: one that is made anew under the name begins at the first
 * revision again.
 */
export function iamVersionOf({ id, revision }: { readonly id: string; readonly revision: number }): string {
  return `${id} ${revision}`;
}

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
if not hasAll(links, {}) then return 'missing' end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
redis.call('ZADD', KEYS[2], 0, ARGV[1])
for _, link in ipairs(links) do redis.call('ZADD', KEYS[3], 0, link) end
redis.call('PUBLISH', ARGV[5], ARGV[6])
return 'done'`,
  ],
  /**
   * KEYS as before. ARGV: channel, message; for each record its field, version that was read, JSON, links to remove,
   * links to add, its new field, all its links. No link may remain to a field that is no more.
   */
  kfUpdateIam: [
    3,
    `${iamTargets}
local moved, come, gone, linked, left = {}, {}, {}, 0, 0
for i = 3, #ARGV, 7 do
  local field, to = ARGV[i], ARGV[i + 5]
  local old = redis.call('HGET', KEYS[1], field)
  if not old or versionOf(old) ~= ARGV[i + 1] then return 'changed' end
  for _, link in ipairs(cjson.decode(ARGV[i + 3])) do table.insert(gone, link) end
  for _, link in ipairs(cjson.decode(ARGV[i + 4])) do table.insert(come, link) end
  if to ~= field then
    if redis.call('HEXISTS', KEYS[1], to) == 1 then return 'taken' end
    moved[field], moved[to] = false, true
    linked = linked + countLinksTo(field)
  end
end
for _, link in ipairs(gone) do if moved[targetOf(link)] == false then left = left + 1 end end
if left ~= linked then return 'changed' end
if not hasAll(come, moved) then return 'missing' end
for i = 3, #ARGV, 7 do
  local field, to = ARGV[i], ARGV[i + 5]
  if to ~= field then
    redis.call('HDEL', KEYS[1], field)
    redis.call('ZREM', KEYS[2], field)
    redis.call('ZADD', KEYS[2], 0, to)
  end
  redis.call('HSET', KEYS[1], to, ARGV[i + 2])
end
for _, link in ipairs(gone) do redis.call('ZREM', KEYS[3], link) end
for i = 9, #ARGV, 7 do
  for _, link in ipairs(cjson.decode(ARGV[i])) do redis.call('ZADD', KEYS[3], 0, link) end
end
redis.call('PUBLISH', ARGV[1], ARGV[2])
return 'done'`,
  ],
  /**
   * KEYS as before. ARGV: the most bytes; then the field that a link comes from, its text as it was read or '' if it is
   * not there or too long, and the link. Returns how many are forgotten: not where the record has changed.
   */
  kfForgetIamLinks: [
    3,
    `
local count = 0
for i = 2, #ARGV, 3 do
  local text = redis.call('HGET', KEYS[1], ARGV[i]) or ''
  if #text > tonumber(ARGV[1]) then text = '' end
  if text == ARGV[i + 1] then count = count + redis.call('ZREM', KEYS[3], ARGV[i + 2]) end
end
return count`,
  ],
  /** KEYS as before. ARGV: field, version that was read, channel, message, its links. */
  kfRemoveIam: [
    3,
    `${iamTargets}
local old = redis.call('HGET', KEYS[1], ARGV[1])
if not old or versionOf(old) ~= ARGV[2] then return 'changed' end
if countLinksTo(ARGV[1]) > 0 then return 'linked' end
redis.call('HDEL', KEYS[1], ARGV[1])
redis.call('ZREM', KEYS[2], ARGV[1])
for _, link in ipairs(cjson.decode(ARGV[5])) do redis.call('ZREM', KEYS[3], link) end
redis.call('PUBLISH', ARGV[3], ARGV[4])
return 'done'`,
  ],
} as const;
