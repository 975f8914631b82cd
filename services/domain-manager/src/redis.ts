import { readSecretFile } from '@keyfleet/shared/config';
import type { Log } from '@keyfleet/shared/log';
import { Redis } from 'ioredis';
import type { DomainManagerConfig } from './config.ts';

const TIMEOUT_MS = 2_000;

/** Connects in the background and for ever; a command fails after two seconds rather than wait for Redis to come back. */
export function startRedis({ url, passwordFile }: DomainManagerConfig['redis'], log: Log): Redis & AsyncDisposable {
  const password = passwordFile === undefined ? {} : { password: readSecretFile(passwordFile, 'redis.passwordFile') };
  const redis = new Redis(url, { ...password, commandTimeout: TIMEOUT_MS, maxRetriesPerRequest: 1 });
  let reported = '';
  redis.on('error', (error: Error) => {
    if (error.message !== reported) log.warn({ err: error }, 'Redis cannot be reached');
    reported = error.message;
  });
  redis.on('ready', () => {
    reported = '';
  });
  return Object.assign(redis, { [Symbol.asyncDispose]: async () => redis.disconnect() });
}
