import { readTls, type TlsConfig } from '@keyfleet/shared/tls/tls-files';
import { Redis } from 'ioredis';

export interface RedisSettings {
  readonly port: number;
  readonly directory: string;
  readonly password: string;
  readonly tls: TlsConfig | undefined;
  /** Lines of redis.conf for those who may do less than the default user. */
  readonly users: string;
}

/**
 * An acknowledged write is on disk: every one is fsynced. The append-only file is the record, so snapshots would add
 * nothing.
 */
export function redisConfig({ port, directory, password, tls, users }: RedisSettings): string {
  return `bind 127.0.0.1
${tls === undefined ? `port ${port}` : tlsSettings(port, tls)}
protected-mode yes
requirepass ${password}
${users}
dir ${directory}
appendonly yes
appendfsync always
no-appendfsync-on-rewrite no
save ""
maxmemory-policy noeviction
# A key's record lies in one piece: 240 bytes a key less.
hash-max-listpack-value 4096
daemonize no
# The launcher knows its own processes by their command line.
set-proc-title no
`;
}

function tlsSettings(port: number, { certificateFile, keyFile, caFile }: TlsConfig): string {
  return `port 0
tls-port ${port}
tls-cert-file ${certificateFile}
tls-key-file ${keyFile}
tls-ca-cert-file ${caFile}
tls-auth-clients yes`;
}

/**
 * True when the Redis that wrote `output` has loaded its data and answers. That its port answers shows less: another
 * program may have it, and a Redis without a password takes any.
 */
export async function redisReady({ port, password, tls }: RedisSettings, output: string): Promise<boolean> {
  if (!output.includes('Ready to accept connections')) return false;
  const secure = tls && { tls: readTls(tls, { field: 'redis.tls' }) };
  const redis = new Redis({
    host: '127.0.0.1',
    port,
    password,
    lazyConnect: true,
    retryStrategy: () => null,
    ...secure,
  });
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
