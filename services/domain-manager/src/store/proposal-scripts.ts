/**
 * KEYS: index, proposal. ARGV: id, command, expiresAt, limit, then pairs of operator id and signature. Redis' clock
 * decides what has expired, as it does for the proposals themselves, and what has is put anew, without the signatures
 * that it had. One that somebody else took from the index has its place again, and what he put under its id, or in the
 * index's place, is replaced. What is no ASCII takes no place: whoever reads it as text cannot say which is to be
 * removed. Of more than 5,000 the next call removes the rest. The date comes last: one that is over leaves nothing.
 */
export const PUT_PROPOSAL = `
local time = redis.call('TIME')
local now = time[1] * 1000 + time[2] / 1000
local function dropWhatIsNoText()
  local kept = 0
  for _ = 1, 5000 do
    local id = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', '+inf', 'LIMIT', kept, 1)[1]
    if not id then return end
    if string.find(id, '[\\128-\\255]') then redis.call('ZREM', KEYS[1], id) else kept = kept + 1 end
  end
end
local function isFull() return redis.call('ZCARD', KEYS[1]) >= tonumber(ARGV[4]) end
local function dateOfKept()
  if redis.call('TYPE', KEYS[2]).ok ~= 'hash' then return nil end
  if redis.call('HSTRLEN', KEYS[2], 'command') ~= #ARGV[2] or redis.call('HSTRLEN', KEYS[2], 'expiresAt') > 15 then return nil end
  local command, expiresAt = unpack(redis.call('HMGET', KEYS[2], 'command', 'expiresAt'))
  if command ~= ARGV[2] or not string.find(expiresAt or '', '^%d+$') then return nil end
  return tonumber(expiresAt) > now and expiresAt or nil
end
if redis.call('TYPE', KEYS[1]).ok ~= 'zset' then redis.call('UNLINK', KEYS[1]) end
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', time[1] .. '000')
if not redis.call('ZSCORE', KEYS[1], ARGV[1]) and isFull() then
  dropWhatIsNoText()
  if isFull() then return 0 end
end
local kept = dateOfKept()
if not kept then redis.call('UNLINK', KEYS[2]) end
local date = kept and tonumber(kept) < tonumber(ARGV[3]) and kept or ARGV[3]
redis.call('HSET', KEYS[2], 'command', ARGV[2], 'expiresAt', date)
redis.call('ZADD', KEYS[1], date, ARGV[1])
for i = 5, #ARGV, 2 do
  if redis.call('HSET', KEYS[2], 'signature:' .. ARGV[i], ARGV[i + 1]) == 1 then redis.call('HDEL', KEYS[2], 'failure') end
end
redis.call('PEXPIREAT', KEYS[2], date)
return 1`;

/**
 * KEYS: the operator's dates. ARGV: mark, date, bytes, ttl. What is no list of dates gives way. Cut at its beginning,
 * it loses the oldest. Returns the signature's date, and 1 if it is over.
 */
export const DATE_SIGNATURE = `
local function isText() return redis.call('TYPE', KEYS[1]).ok == 'string' end
local dates = isText() and redis.call('STRLEN', KEYS[1]) <= tonumber(ARGV[3]) and redis.call('GET', KEYS[1]) or ''
local date = string.match(dates, ARGV[1] .. ':(%d+)')
if not date then
  date = ARGV[2]
  redis.call('SET', KEYS[1], string.sub(dates .. ARGV[1] .. ':' .. date .. ' ', -ARGV[3]), 'PX', ARGV[4])
end
local now = redis.call('TIME')
return { date, tonumber(date) <= now[1] * 1000 + now[2] / 1000 and 1 or 0 }`;

/** KEYS: index, proposal. ARGV: id. */
export const DROP_PROPOSAL = `
if redis.call('TYPE', KEYS[1]).ok == 'zset' then redis.call('ZREM', KEYS[1], ARGV[1]) end
redis.call('UNLINK', KEYS[2])`;

/** KEYS: proposal. ARGV: field, value. */
export const SET_OUTCOME = `
if redis.call('EXISTS', KEYS[1]) == 1 then redis.call('HSET', KEYS[1], ARGV[1], ARGV[2]) end`;
