import { Redis } from 'ioredis';

export interface RedisSettings {
  readonly port: number;
  readonly directory: string;
  readonly password: string;
}

/**
 * An acknowledged write is on disk: every one is fsynced. The append-only file is the record, so snapshots would add
 * nothing.
 */
export function redisConfig({ port, directory, password }: RedisSettings): string {
  return `bind 127.0.0.1
port ${port}
protected-mode yes
requirepass ${password}
dir ${directory}
appendonly yes
appendfsync always
no-appendfsync-on-rewrite no
save ""
maxmemory-policy noeviction
# A key's record of some 1.3 KB lies in one piece: 300 bytes a key less.
hash-max-listpack-value 4096
daemonize no
# The launcher knows its own processes by their command line.
set-proc-title no
`;
}

/** True when Redis has loaded its data and answers. */
export async function redisReady({ port, password }: RedisSettings): Promise<boolean> {
  const redis = new Redis({ host: '127.0.0.1', port, password, lazyConnect: true, retryStrategy: () => null });
  redis.on('error', () => undefined); // A refused connection is an answer here.
  try {
    await redis.connect();
    return true;
  } catch {
    return false;
  } finally {
    redis.disconnect();
  }
}
