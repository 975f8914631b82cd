/** As randomUUID makes them. */
const GROUPS = [8, 4, 4, 4, 12].map((digits) => '[0-9a-f]'.repeat(digits));
const STORE_ID = new RegExp(`^${GROUPS.join('-')}$`);

/** Whether a store's identity may have this id. Whoever reaches Redis may have written anything there: that is none. */
export function isStoreId(text: string): boolean {
  return STORE_ID.test(text);
}

/**
 * For scripts: `storeId(store)` is the id, '' for none, and `giveStoreId(store, id)` gives one to a store without. They
 * compare bytes: what a service read as text need not be what stands there.
 */
export const STORE_ID_SCRIPT = `
local function storeId(store)
  if redis.call('TYPE', store).ok ~= 'hash' or redis.call('HSTRLEN', store, 'id') ~= 36 then return '' end
  local id = redis.call('HGET', store, 'id')
  return string.find(id, '^${GROUPS.join('%-')}$') and id or ''
end
local function giveStoreId(store, id)
  if storeId(store) ~= '' then return end
  if redis.call('TYPE', store).ok ~= 'hash' then redis.call('UNLINK', store) end
  redis.call('HSET', store, 'id', id)
end`;
