import type { RedisClient } from './connect.ts';

/** KEYS: a hash. ARGV: the most bytes of a value, then fields. */
const SHORT_FIELDS = `
local found = {}
if redis.call('TYPE', KEYS[1]).ok ~= 'hash' then return found end
for i = 2, #ARGV do
  local isShort = redis.call('HSTRLEN', KEYS[1], ARGV[i]) <= tonumber(ARGV[1])
  found[i - 1] = isShort and redis.call('HGET', KEYS[1], ARGV[i])
end
return found`;

/**
 * These fields of a hash and no others, in UTF-8. What is longer than `maxBytes` is as if it were not there, and so is
 * a value of another type: for hashes that are read again and again and that somebody else may write, who would
 * otherwise decide how much this service reads each time.
 */
export async function readShortFields<F extends string>(
  client: RedisClient,
  name: string,
  { maxBytes, fields }: { readonly maxBytes: number; readonly fields: readonly F[] },
): Promise<ReadonlyMap<F, string>> {
  const values = (await client.eval(SHORT_FIELDS, 1, name, maxBytes, ...fields)) as readonly (string | null)[];
  const found = new Map<F, string>();
  for (const [i, field] of fields.entries()) {
    const value = values[i];
    if (typeof value === 'string') found.set(field, value);
  }
  return found;
}
