import { STORE_ID_SCRIPT } from '@keyfleet/shared/redis/store-id';
import { storedValues } from '@keyfleet/shared/stored/names';

// Of two replicas that write at once, one comes first and the other loses. Another store's tokens are not touched.

/**
 * KEYS: tokens, store. ARGV: generation, token, a new identity. The list's length is the newest
 * generation; the first token founds the store.
 */
export const APPEND_TOKEN = `${STORE_ID_SCRIPT}
local type = redis.call('TYPE', KEYS[1]).ok
if (type ~= 'list' and type ~= 'none') or redis.call('LLEN', KEYS[1]) ~= tonumber(ARGV[1]) - 1 then return 0 end
redis.call('RPUSH', KEYS[1], ARGV[2])
giveStoreId(KEYS[2], ARGV[3])
return 1`;

/**
 * KEYS: tokens, store. ARGV: generation, token, the identity that the store must have, or '' for any. What stands there
 * and is no list has no token, and gives way to the first.
 */
export const RESTORE_TOKEN = `${STORE_ID_SCRIPT}
local id = storeId(KEYS[2])
if id == '' or (ARGV[3] ~= '' and id ~= ARGV[3]) then return 0 end
local isList = redis.call('TYPE', KEYS[1]).ok == 'list'
if (isList and redis.call('LLEN', KEYS[1]) or 0) ~= tonumber(ARGV[1]) - 1 then return 0 end
if not isList then redis.call('UNLINK', KEYS[1]) end
redis.call('RPUSH', KEYS[1], ARGV[2])
return 1`;

/** KEYS and the first three of ARGV as there, then what is to stand there now: '' for what is longer than any token. */
export const REPLACE_TOKEN = `${STORE_ID_SCRIPT}
local id = storeId(KEYS[2])
if id == '' or (ARGV[3] ~= '' and id ~= ARGV[3]) then return 0 end
local found = redis.call('LINDEX', KEYS[1], ARGV[1] - 1)
if not found or (found ~= ARGV[4] and (ARGV[4] ~= '' or #found <= ${storedValues.tokens.maxBytes})) then return 0 end
redis.call('LSET', KEYS[1], ARGV[1] - 1, ARGV[2])
return 1`;
