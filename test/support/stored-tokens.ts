import { domainKeyIdOf } from '@keyfleet/shared/hsm/exported-key-token';
import { Redis } from 'ioredis';
import type { TestCluster } from './cluster.ts';

/** The cluster's Redis, past every check and cache: what an operator sees who looks, and what an attacker writes. */
export function redisOf({ home, ports }: TestCluster): Redis {
  return new Redis({ host: '127.0.0.1', port: ports.redis, password: home.secret('redis-password') });
}

/** How many stored tokens are sealed under each domain key, by its id; found without any code of the services. */
export async function countTokensByDomainKey(redis: Redis): Promise<Map<string, number>> {
  const counts = new Map<string, number>();
  for await (const names of redis.scanStream({ match: 'kf:*', count: 1000 }) as AsyncIterable<string[]>) {
    for (const tokens of await Promise.all(names.map((name) => tokensAt(redis, name)))) {
      for (const token of tokens) {
        const id = domainKeyIdOf(token);
        counts.set(id, (counts.get(id) ?? 0) + 1);
      }
    }
  }
  return counts;
}

async function tokensAt(redis: Redis, name: string): Promise<Buffer[]> {
  const [, kind] = name.split(':');
  if (kind === 'key') {
    const { backingKeys } = JSON.parse((await redis.hget(name, 'record'))!) as { backingKeys: { token: string }[] };
    return backingKeys.map(({ token }) => Buffer.from(token, 'base64'));
  }
  if (kind === 'access-key') {
    return [Buffer.from((JSON.parse((await redis.get(name))!) as { token: string }).token, 'base64')];
  }
  return kind === 'secret' ? [(await redis.getBuffer(name))!] : [];
}
