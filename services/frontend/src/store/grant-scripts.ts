/** Entries that one step looks at: somebody may have put millions there. */
const AT_ONCE = 250;

/** Scripts for grants; those for other records are in scripts.ts. */
export const grantScripts = {
  /**
   * KEYS: key's record, its grants, their index. ARGV: id, JSON, quota, the prefix of an entry with the same name or
   * '', channel, message, its entries (JSON). If a grant with that name exists, returns its id: an entry without one is
   * of somebody else, and goes. So does one whose id is no ASCII, since nobody could remove it as text. 'again': there
   * may be more of these.
   */
  kfInsertGrant: [
    3,
    `
if redis.call('EXISTS', KEYS[1]) == 0 then return 'gone' end
local named = ARGV[4]
if named ~= '' then
  local to = '(' .. string.sub(named, 1, -2) .. '!'
  local entries = redis.call('ZRANGEBYLEX', KEYS[3], '[' .. named, to, 'LIMIT', 0, ${AT_ONCE})
  for _, entry in ipairs(entries) do
    local id = string.sub(entry, #named + 1)
    if not string.find(id, '[\\128-\\255]') and redis.call('HEXISTS', KEYS[2], id) == 1 then return id end
    redis.call('ZREM', KEYS[3], entry)
  end
  if #entries == ${AT_ONCE} then return 'again' end
end
if redis.call('HLEN', KEYS[2]) >= tonumber(ARGV[3]) then return 'full' end
redis.call('HSET', KEYS[2], ARGV[1], ARGV[2])
for _, entry in ipairs(cjson.decode(ARGV[7])) do redis.call('ZADD', KEYS[3], 0, entry) end
redis.call('PUBLISH', ARGV[5], ARGV[6])
return 'done'`,
  ],
  /**
   * KEYS: grants, their index. ARGV: lists of an id and its entries to add (JSON). Grants that no longer exist are
   * skipped. Entries that only older releases read go, a part each time.
   */
  kfAddGrantEntries: [
    2,
    `
for _, grant in ipairs(cjson.decode(ARGV[1])) do
  if redis.call('HEXISTS', KEYS[1], grant[1]) == 1 then
    for i = 2, #grant do redis.call('ZADD', KEYS[2], 0, grant[i]) end
  end
end
for _, word in ipairs({'may', 'permitted'}) do
  local old = redis.call('ZRANGEBYLEX', KEYS[2], '[' .. word .. ' ', '(' .. word .. '!', 'LIMIT', 0, 5000)
  if #old > 0 then redis.call('ZREM', KEYS[2], unpack(old)) end
end
return 1`,
  ],
  /**
   * KEYS: index of grants. ARGV: the begin of entries, a form or '', how many. Returns 1 if there may be more, then the
   * forms that follow that begin, in order, from the one after the form given. It looks at one entry of each. One
   * without a form, or with one that is too long or no ASCII, is none of ours: of the first it passes over all, the
   * others go, since whoever reads one as text would go on from another.
   */
  kfGrantForms: [
    1,
    `
local forms = { 1 }
local from, to = '[' .. ARGV[1] .. '!', '(' .. string.sub(ARGV[1], 1, -2) .. '!'
if ARGV[2] ~= '' then from = '(' .. ARGV[1] .. ARGV[2] .. '!' end
for _ = 1, ${AT_ONCE} do
  local entry = redis.call('ZRANGEBYLEX', KEYS[1], from, to, 'LIMIT', 0, 1)[1]
  if not entry then
    forms[1] = 0
    break
  end
  local form = string.match(entry, '^[^ ]+', #ARGV[1] + 1)
  if #form > 8192 or string.find(form, '[\\128-\\255]') then redis.call('ZREM', KEYS[1], entry)
  else
    table.insert(forms, form)
    if #forms > tonumber(ARGV[3]) then break end
    from = '(' .. ARGV[1] .. form .. '!'
  end
end
return forms`,
  ],
  /** KEYS: grants, their index. ARGV: id, channel, message, its entries (JSON). 0: it was already gone. */
  kfRemoveGrant: [
    2,
    `
for _, entry in ipairs(cjson.decode(ARGV[4])) do redis.call('ZREM', KEYS[2], entry) end
local removed = redis.call('HDEL', KEYS[1], ARGV[1])
redis.call('PUBLISH', ARGV[2], ARGV[3])
return removed`,
  ],
} as const;
