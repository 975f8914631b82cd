import type { Redis } from 'ioredis';
import { ConfigError } from '../config.ts';
import { mastersOf, type RedisClient, type RedisConfig } from './connect.ts';

/** What a write needs beyond its own answer to be durable. */
export interface Durability {
  /** How many replicas must have a write before it is acknowledged. */
  readonly replicas: number;
}

const advice = 'or set redis.durability to "relaxed" if acknowledged writes may be lost';

/**
 * Asks Redis whether acknowledged writes survive a crash. If they may not and `durability` is strict, throws
 * ConfigError, in one line that says what to set. Rejects with the connection's error if Redis does not answer.
 */
export async function checkDurability(client: RedisClient, durability: RedisConfig['durability']): Promise<Durability> {
  if (durability === 'relaxed') return { replicas: 0 };
  const nodes = await Promise.all(mastersOf(client).map(checkNode));
  return { replicas: Math.max(0, ...nodes) };
}

async function checkNode(node: Redis): Promise<number> {
  const appendonly = await configOf(node, 'appendonly');
  const appendfsync = await configOf(node, 'appendfsync');
  if (appendonly !== 'yes' || appendfsync !== 'always') {
    throw new ConfigError(
      `redis: it may lose acknowledged writes (appendonly ${appendonly}, appendfsync ${appendfsync}). Set "appendonly yes" and "appendfsync always", ${advice}.`,
    );
  }
  const eviction = await configOf(node, 'maxmemory-policy');
  // volatile-* evicts only what expires anyway.
  if (eviction.startsWith('allkeys-')) {
    throw new ConfigError(
      `redis: it throws acknowledged writes away when its memory is full (maxmemory-policy ${eviction}). Set "maxmemory-policy noeviction", ${advice}.`,
    );
  }
  const required = Number(await configOf(node, 'min-replicas-to-write'));
  const connected = /^connected_slaves:([0-9]+)/m.exec(await node.info('replication'))?.[1] ?? '0';
  if (connected !== '0' && required === 0) {
    throw new ConfigError(
      `redis: a failover to one of its ${connected} replicas may lose acknowledged writes. Set "min-replicas-to-write 1", ${advice}.`,
    );
  }
  return required;
}

async function configOf(node: Redis, name: string): Promise<string> {
  let answer: unknown;
  try {
    answer = await node.config('GET', name);
  } catch (error) {
    if (!(error instanceof Error) || !/^(?:NOPERM|ERR unknown command)/.test(error.message)) throw error;
    throw new ConfigError(
      `redis: it does not let this service read its configuration (CONFIG GET), so that its durability is unknown. Allow it, ${advice}.`,
      { cause: error },
    );
  }
  const value = (answer as readonly unknown[])[1];
  if (typeof value === 'string') return value;
  throw new ConfigError(
    `redis: it has no setting ${name}, so that its durability is unknown. Use Redis 6 or later, ${advice}.`,
  );
}
