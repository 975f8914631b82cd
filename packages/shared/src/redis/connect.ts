import { once } from 'node:events';
import type { ConnectionOptions } from 'node:tls';
import { type ChainableCommander, Cluster, Redis, type RedisOptions } from 'ioredis';
import { z } from 'zod';
import { filePath, readSecretFile } from '../config.ts';
import { TlsConfig, TlsFiles } from '../tls/tls-files.ts';
import { sentinelConnector } from './sentinels.ts';
import { parseRedisUrl } from './url.ts';

/** The `redis` part of a service's configuration. */
export const RedisConfig = z
  .strictObject({
    url: z
      .string()
      .superRefine((url, context) => {
        if (parseRedisUrl(url) === undefined) {
          context.addIssue(
            'must be redis://host:port, redis+sentinel://host:port,host:port/master-name or redis+cluster://host:port,host:port (rediss for TLS), without a password or a database',
          );
        }
      })
      .describe(
        '`redis://host:port`, `redis+sentinel://host:port,host:port/master-name` or `redis+cluster://host:port,host:port`; `rediss` for TLS. No password, no database. List every Sentinel: no other is asked.',
      ),
    username: z.string().min(1).optional().describe('The ACL user, in Redis and in its Sentinels.'),
    passwordFile: filePath().optional().describe("The user's password."),
    tls: TlsConfig.optional().describe(
      'For `rediss`; without it, the authorities of the system are believed and no certificate is shown.',
    ),
    durability: z
      .enum(['strict', 'relaxed'])
      .default('strict')
      .describe('`strict` refuses a Redis that may lose an acknowledged write (docs/operations.md).'),
  })
  .refine(({ url, tls }) => tls === undefined || url.startsWith('rediss'), {
    path: ['tls'],
    message: 'is not used unless url begins with rediss',
  });
export type RedisConfig = z.output<typeof RedisConfig>;

export type RedisClient = Redis | Cluster;
/** Something that takes commands: a connection, or a pipeline that sends them together. */
export type RedisCommands = RedisClient | ChainableCommander;

/** A command fails after this long, whatever the state of the connection: a dead Redis must not hold up requests. */
const COMMAND_TIMEOUT_MS = 1_000;
/** Of problems until the connection works again. */
const MOST_SAID = 16;
const LONGEST_RETRY_MS = 500;
/** A Sentinel that was away tells of failovers again this soon after its return. */
const SENTINEL_RETRY_MS = 1_000;

export interface RedisEvents {
  /** Called once per kind of problem until the connection works again. */
  readonly onProblem: (problem: Error) => void;
}

/**
 * Connects in the background, and retries forever. A command that cannot be sent now fails at once and is never sent
 * later: what its caller was told has failed must not happen minutes afterwards. Disposing closes the connection at
 * once.
 */
export function connectRedis(
  config: RedisConfig,
  { onProblem }: RedisEvents,
  commandTimeout = COMMAND_TIMEOUT_MS,
): RedisClient & AsyncDisposable {
  const files = config.tls && new TlsFiles(config.tls, { field: 'redis.tls', onProblem });
  const client = newClient(config, { files, commandTimeout, onProblem });
  // A Redis that hangs is a problem of one kind and of another in turn.
  const said = new Set<string>();
  client.on('error', (error: Error) => {
    if (said.has(error.message) || said.size === MOST_SAID) return;
    said.add(error.message);
    onProblem(error);
  });
  client.on('ready', () => said.clear());
  const goingOn = connectAgain(client);
  return Object.assign(client, {
    async [Symbol.asyncDispose]() {
      goingOn[Symbol.dispose]();
      client.disconnect();
      files?.[Symbol.dispose]();
    },
  });
}

/**
 * ioredis gives up for good if it is told of a failover just while it looks for the master: `SentinelConnector` then
 * throws "Connection is closed.", and no `retryStrategy` is asked. So it is told to connect anew, until disposed.
 */
export function connectAgain(client: RedisClient): Disposable {
  let wasConnecting = false;
  const connecting = (): void => void (wasConnecting = true);
  const closed = (): void => void (wasConnecting = false);
  const ended = (): void => {
    if (wasConnecting) client.connect().catch(() => {});
  };
  client.on('connecting', connecting).on('close', closed).on('end', ended);
  return {
    [Symbol.dispose]() {
      client.off('connecting', connecting).off('close', closed).off('end', ended);
    },
  };
}

function newClient(
  { url, username, passwordFile }: RedisConfig,
  parts: RedisEvents & { readonly files: TlsFiles | undefined; readonly commandTimeout: number },
): RedisClient {
  const { files, commandTimeout, onProblem } = parts;
  const target = parseRedisUrl(url);
  if (!target) throw new TypeError('not a Redis URL');
  const password = passwordFile === undefined ? undefined : readSecretFile(passwordFile, 'redis.passwordFile');
  const options = {
    ...(username !== undefined && { username, sentinelUsername: username }),
    ...(password !== undefined && { password, sentinelPassword: password }),
    ...(target.tls && { tls: currentOf(files), sentinelTLS: currentOf(files) }),
    commandTimeout,
    connectTimeout: COMMAND_TIMEOUT_MS,
    // A connection that is silent this long while answers are due is dropped and reopened.
    socketTimeout: 2 * commandTimeout,
    // A write whose answer was lost may have happened: it is reported, never resent.
    autoResendUnfulfilledCommands: false,
    enableOfflineQueue: false,
    maxRetriesPerRequest: null,
    enableAutoPipelining: true,
    retryStrategy,
    // After a failover, the node that answered may have become a replica.
    reconnectOnError: (error: Error) => error.message.startsWith('READONLY'),
  } satisfies RedisOptions;
  const { nodes } = target;
  switch (target.kind) {
    case 'standalone':
      return new Redis({ ...options, ...nodes[0] });
    case 'sentinel':
      return new Redis({
        ...options,
        sentinels: [...nodes],
        // A Sentinel that another names may be one that somebody had it know: it would be sent the password.
        updateSentinels: false,
        name: target.masterName,
        enableTLSForSentinelMode: target.tls,
        sentinelRetryStrategy: retryStrategy,
        sentinelReconnectStrategy: () => SENTINEL_RETRY_MS,
        failoverDetector: true,
        Connector: sentinelConnector(onProblem),
      });
    case 'cluster': {
      const { retryStrategy: _ofNodes, enableOfflineQueue, enableAutoPipelining: _no, ...redisOptions } = options;
      // ioredis follows a slot that moves for a single command; a pipeline of several may get MOVED, and ASKING may
      // come behind the command that it is for.
      return new Cluster([...nodes], { clusterRetryStrategy: retryStrategy, enableOfflineQueue, redisOptions });
    }
  }
}

/** ioredis reads the members when it connects, so it uses the files as they are then. */
function currentOf(files: TlsFiles | undefined): ConnectionOptions {
  if (files === undefined) return {};
  return {
    get cert() {
      return files.material.cert;
    },
    get key() {
      return files.material.key;
    },
    get ca() {
      return files.material.ca;
    },
  };
}

function retryStrategy(attempt: number): number {
  return Math.min(50 * attempt, LONGEST_RETRY_MS);
}

/** Resolves once commands can be sent. Rejects if they cannot `withinMs`, with the last error. */
export async function untilReady(client: RedisClient, withinMs: number): Promise<void> {
  if (client.status === 'ready') return;
  let problem: unknown;
  const note = (error: unknown): void => void (problem = error);
  client.on('error', note);
  try {
    await once(client, 'ready', { signal: AbortSignal.timeout(withinMs) });
  } catch (error) {
    throw problem ?? error;
  } finally {
    client.off('error', note);
  }
}

/** The connections to every node that takes writes: one, except for a Redis Cluster. */
export function mastersOf(client: RedisClient): Redis[] {
  return isCluster(client) ? client.nodes('master') : [client];
}

export function isCluster(client: RedisClient): client is Cluster {
  return client instanceof Cluster;
}
