import { connectRedis, type RedisClient, RedisConfig } from '@keyfleet/shared/redis/connect';
import { CliError } from './cli-error.ts';

export const redisOptions = {
  redis: { type: 'string', description: 'redis://host:port', valueHint: 'URL', default: 'redis://127.0.0.1:8930' },
  'redis-password-file': { type: 'string', description: 'Read its password from a file.', valueHint: 'FILE' },
} as const;

interface RedisArgs {
  readonly redis: string;
  readonly 'redis-password-file'?: string | undefined;
}

/** Throws CliError when Redis does not answer. */
export async function openRedis(args: RedisArgs): Promise<RedisClient & AsyncDisposable> {
  const passwordFile = args['redis-password-file'];
  const config = RedisConfig.safeParse({ url: args.redis, ...(passwordFile === undefined ? {} : { passwordFile }) });
  if (!config.success) throw new CliError(`--redis ${config.error.issues[0]?.message}`, { exitCode: 2 });
  const client = connectRedis(config.data, { onProblem: () => {} });
  try {
    await client.ping();
    return client;
  } catch (cause) {
    client.disconnect();
    throw new CliError(`cannot reach Redis at ${args.redis}: ${(cause as Error).message}`, { cause });
  }
}
