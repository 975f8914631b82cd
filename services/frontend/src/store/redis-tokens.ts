import type { RedisClient } from '@keyfleet/shared/redis/connect';
import { tokensAt } from '@keyfleet/shared/stored/names';
import type { TokenSource } from '@keyfleet/shared/token-follower';

/** About a megabyte. */
const PAGE = 16;

/**
 * The domain tokens as they are stored, which no frontend can write. Whoever keeps a frontend from the domain-managers,
 * and leaves it the store, does not keep it from hearing of a removal.
 */
export function newRedisTokenSource(client: RedisClient, domain: string): TokenSource {
  return {
    address: 'Redis',
    fetch: (after) => client.lrangeBuffer(tokensAt(domain), after, after + PAGE - 1),
    close: () => {},
  };
}
