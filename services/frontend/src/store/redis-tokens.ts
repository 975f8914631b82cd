import type { RedisClient } from '@keyfleet/shared/redis/connect';
import { DamagedValueError, readElements } from '@keyfleet/shared/redis/stored-values';
import { tokensAt } from '@keyfleet/shared/stored/names';
import type { TokenSource } from '@keyfleet/shared/token-follower';

/** About a megabyte. */
const PAGE = 16;

/**
 * The domain tokens as they are stored, which no frontend can write. Whoever keeps a frontend from the domain-managers,
 * and leaves it the store, does not keep it from hearing of a removal.
 */
export function newRedisTokenSource(client: RedisClient, domain: string): TokenSource {
  const name = tokensAt(domain);
  return {
    address: 'Redis',
    async fetch(after) {
      try {
        return await readElements(client, name, after, after + PAGE - 1);
      } catch (error) {
        // Somebody put it behind the tokens.
        if (error instanceof DamagedValueError) return readElements(client, name, after, after);
        throw error;
      }
    },
    close: () => {},
  };
}
