import { connectRedis, mastersOf, type RedisClient, RedisConfig, untilReady } from '@keyfleet/shared/redis/connect';
import { CliError } from './cli-error.ts';

const CONNECT_TIMEOUT_MS = 2_000;

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
    await untilReady(client, CONNECT_TIMEOUT_MS);
    return client;
  } catch (cause) {
    client.disconnect();
    throw new CliError(`cannot reach Redis at ${args.redis}: ${(cause as Error).message}`, { cause });
  }
}

/** The names of everything of Keyfleet; of a Redis Cluster, on all its nodes. */
export async function allNames(redis: RedisClient): Promise<string[]> {
  const names = new Set<string>();
  for (const node of mastersOf(redis)) {
    for (let cursor = '0', first = true; first || cursor !== '0'; first = false) {
      const [next, page] = await node.scan(cursor, 'MATCH', 'kf:*', 'COUNT', 1000);
      for (const name of page) names.add(name);
      cursor = next;
    }
  }
  return [...names];
}
