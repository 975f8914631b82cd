import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

/** As deploy/redis/users.acl names them. */
export type RedisUser = 'frontend' | 'domain-manager';
export const redisUsers: readonly RedisUser[] = ['frontend', 'domain-manager'];

const file = join(import.meta.dirname, '../../deploy/redis/users.acl');

/** The lines of deploy/redis/users.acl, for redis.conf, with each user on and its password. */
export function userLines(passwordOf: (user: RedisUser) => string): string {
  const lines = readFileSync(file, 'utf8').split('\n');
  return redisUsers
    .map((user) => {
      const line = lines.find((one) => one.startsWith(`user ${user} `))!;
      const digest = createHash('sha256').update(passwordOf(user)).digest('hex');
      return line.replace(`user ${user} `, `user ${user} on #${digest} `);
    })
    .join('\n');
}
