import { keyIdOf, keyListAt, oldKeyListAt } from '@keyfleet/shared/stored/key-list';
import type { Scope } from '@keyfleet/shared/stored/names';
import type { RedisCalls } from './redis-calls.ts';

const AT_ONCE = 250;

/** Moves what is in a list of the first release into those of now. May be cut off anywhere: an entry is always in one of them. */
export async function splitOldKeyList(redis: RedisCalls, scope: Scope): Promise<void> {
  const old = oldKeyListAt(scope);
  for (;;) {
    const entries = await redis.read((client) => client.zrange(old, '0', String(AT_ONCE - 1)));
    if (entries.length === 0) return;
    await Promise.all(entries.map((entry) => redis.write('zadd', keyListAt(scope, keyIdOf(entry)), 0, entry)));
    await redis.write('zrem', old, ...entries);
  }
}
