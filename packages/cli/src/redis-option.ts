import { connectRedis, type RedisClient, RedisConfig, untilReady } from '@keyfleet/shared/redis/connect';
import { assertSameHolders, holdersOf, nodesInOrder, scanNames } from '@keyfleet/shared/redis/nodes';
import { parseRedisUrl } from '@keyfleet/shared/redis/url';
import { redisElsewhere } from '@keyfleet/shared/tls/plaintext';
import { ALL_NAMES } from '@keyfleet/shared/stored/names';
import { CliError } from './cli-error.ts';
import { assertLocal, type TlsArgs, tlsOf, tlsOptions } from './tls-options.ts';

const CONNECT_TIMEOUT_MS = 2_000;
/** Only the operator waits for the CLI's use of Redis: a moment in which Redis is busy does not end it. */
const COMMAND_TIMEOUT_MS = 15_000;

export const redisOptions = {
  redis: { type: 'string', description: 'Address of Redis.', valueHint: 'URL', default: 'redis://127.0.0.1:8930' },
  'redis-user': { type: 'string', description: 'The Redis ACL user.', valueHint: 'NAME' },
  'redis-password-file': { type: 'string', description: 'Read the Redis password from this file.', valueHint: 'FILE' },
  ...tlsOptions,
} as const;

interface RedisArgs extends TlsArgs {
  readonly redis: string;
  readonly 'redis-user'?: string | undefined;
  readonly 'redis-password-file'?: string | undefined;
}

/** One server. */
export interface RedisNode {
  readonly address: string;
  readonly open: () => Promise<RedisClient & AsyncDisposable>;
}

/** Throws CliError if Redis does not answer, or would be sent the password unencrypted. */
export async function openRedis(args: RedisArgs): Promise<RedisClient & AsyncDisposable> {
  const username = args['redis-user'];
  const passwordFile = args['redis-password-file'];
  const tls = args.redis.startsWith('rediss') ? tlsOf(args) : undefined;
  const config = RedisConfig.safeParse({ url: args.redis, username, passwordFile, tls });
  if (!config.success) throw new CliError(`--redis ${config.error.issues[0]?.message}`, { exitCode: 2 });
  const target = parseRedisUrl(args.redis)!;
  const remedy = 'write rediss://, and give --tls-ca, --tls-cert and --tls-key';
  if (!target.tls) assertLocal('--redis', redisElsewhere(target), args, remedy);
  const client = connectRedis(config.data, { onProblem: () => {} }, COMMAND_TIMEOUT_MS);
  try {
    await untilReady(client, CONNECT_TIMEOUT_MS);
    return client;
  } catch (cause) {
    await client[Symbol.asyncDispose]();
    throw new CliError(`cannot reach Redis at ${args.redis}: ${(cause as Error).message}`, { cause });
  }
}

/** A connection to each of `addresses` (host:port), with the user and TLS of `--redis`. Throws CliError for others. */
export function nodesOf(addresses: readonly string[], args: RedisArgs): RedisNode[] {
  const scheme = args.redis.startsWith('rediss') ? 'rediss' : 'redis';
  return addresses.map((address) => {
    const url = `${scheme}://${address}`;
    if (parseRedisUrl(url) === undefined)
      throw new CliError(`--redis-nodes: ${address} is not HOST:PORT of a node of Redis`, { exitCode: 2 });
    return { address, open: () => openRedis({ ...args, redis: url }) };
  });
}

/** Those that `--redis` names, in the same way. */
export function sentinelsOf(args: RedisArgs): { readonly masterName: string; readonly nodes: RedisNode[] } {
  const target = parseRedisUrl(args.redis);
  if (target?.kind !== 'sentinel') return { masterName: '', nodes: [] };
  const addresses = target.nodes.map(({ host, port }) => `${host.includes(':') ? `[${host}]` : host}:${port}`);
  return { masterName: target.masterName, nodes: nodesOf(addresses, args) };
}

/**
 * All of Keyfleet's names, on every node of a Redis Cluster. One that exists throughout appears at least once. Throws
 * NamesMissedError, in place of a first page or after the last, if that cannot be said.
 */
export async function* pagesOfAllNames(redis: RedisClient): AsyncGenerator<readonly string[]> {
  const holders = await holdersOf(redis);
  for (const node of nodesInOrder(redis)) {
    for (let cursor: string | undefined; cursor !== '0';) {
      const [next, names]: [string, string[]] = await scanNames(node, cursor ?? '0', ALL_NAMES);
      yield names;
      cursor = next;
    }
  }
  await assertSameHolders(redis, holders);
}
