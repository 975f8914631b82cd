import { Redis } from 'ioredis';

export interface RedisSettings {
  readonly port: number;
  readonly directory: string;
  readonly password: string;
}

/** An acknowledged write is on disk: every one is fsynced. The append-only file is the record, so snapshots would add nothing. */
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
daemonize no
# The launcher knows its own processes by their command line.
set-proc-title no
`;
}

/** Resolves when Redis has loaded its data and answers. */
export async function redisReady({ port, password }: RedisSettings, signal: AbortSignal): Promise<void> {
  const redis = new Redis({ host: '127.0.0.1', port, password, retryStrategy: () => 25 });
  redis.on('error', () => undefined); // Refused connections are what is waited out here.
  try {
    await new Promise<void>((resolve, reject) => {
      redis.once('ready', resolve);
      signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true });
    });
  } finally {
    redis.disconnect();
  }
}
