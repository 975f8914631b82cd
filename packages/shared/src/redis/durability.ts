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
 * What a service asks: one with a user of its own may not read Redis's settings (decision 25). A master that has just
 * been promoted has few replicas yet, and some may be away: it goes by the most that it has seen.
 */
export function newServiceCheck(
  client: RedisClient,
  { username, durability }: Pick<RedisConfig, 'username' | 'durability'>,
): () => Promise<Durability> {
  if (username === undefined) return () => checkDurability(client, durability);
  let most = 0;
  return async () => {
    const { replicas } = await checkByInfo(client, durability);
    most = Math.max(most, replicas);
    return { replicas: most };
  };
}

/**
 * Asks Redis whether acknowledged writes survive a crash. If they may not and `durability` is strict, throws
 * ConfigError, in one line that says what to set. Rejects with the connection's error if Redis does not answer.
 */
export function checkDurability(client: RedisClient, durability: RedisConfig['durability']): Promise<Durability> {
  return checkNodes(client, durability, checkNode);
}

/**
 * The same for who may not read Redis's settings, because the password is among them with which replicas read
 * everything. INFO does not say `appendfsync`, nor how many replicas must have a write: a majority of the nodes.
 */
export function checkByInfo(client: RedisClient, durability: RedisConfig['durability']): Promise<Durability> {
  return checkNodes(client, durability, checkNodeByInfo);
}

async function checkNodes(
  client: RedisClient,
  durability: RedisConfig['durability'],
  check: (node: Redis) => Promise<number>,
): Promise<Durability> {
  if (durability === 'relaxed') return { replicas: 0 };
  const nodes = await Promise.all(mastersOf(client).map(check));
  return { replicas: Math.max(0, ...nodes) };
}

async function checkNode(node: Redis): Promise<number> {
  const appendonly = await configOf(node, 'appendonly');
  const appendfsync = await configOf(node, 'appendfsync');
  if (appendonly !== 'yes' || appendfsync !== 'always') {
    throw losesWrites(`appendonly ${appendonly}, appendfsync ${appendfsync}`);
  }
  assertKeeps(await configOf(node, 'maxmemory-policy'));
  const required = Number(await configOf(node, 'min-replicas-to-write'));
  const { connected_slaves: connected = '0' } = await infoOf(node, 'replication');
  assertReplicated(connected, required);
  return required;
}

async function checkNodeByInfo(node: Redis): Promise<number> {
  if ((await infoOf(node, 'persistence'))['aof_enabled'] !== '1') throw losesWrites('appendonly no');
  assertKeeps((await infoOf(node, 'memory'))['maxmemory_policy'] ?? '');
  const replication = await infoOf(node, 'replication');
  const { connected_slaves: connected = '0' } = replication;
  // Redis names the replicas in good order only where some are required.
  const required =
    'min_slaves_good_slaves' in replication ? Math.max(1, Math.ceil(onlineReplicas(replication) / 2)) : 0;
  assertReplicated(connected, required);
  return required;
}

/**
 * Each says every second how much it has. One whose connection broke, or whose machine died, is there for a while yet,
 * beside the one in its place; who only fetches everything once has no port.
 */
export function onlineReplicas(replication: Readonly<Partial<Record<string, string>>>): number {
  const ofEach = Object.entries(replication).filter(([name]) => /^slave\d+$/.test(name));
  const found = ofEach.flatMap(
    ([, value = '']) => /^ip=.*,port=[1-9]\d*(?=,state=online,offset=\d+,lag=[0-5](?:,|$))/.exec(value) ?? [],
  );
  return new Set(found).size;
}

/** What INFO says; without a section, all that it says by itself. */
export async function infoOf(node: Redis, section?: string): Promise<Readonly<Partial<Record<string, string>>>> {
  const lines = (await (section === undefined ? node.info() : node.info(section))).split('\r\n');
  return Object.fromEntries(lines.filter((line) => line.includes(':')).map((line) => line.split(/:(.*)/, 2)));
}

function losesWrites(settings: string): ConfigError {
  return new ConfigError(
    `redis: it may lose acknowledged writes (${settings}). Set "appendonly yes" and "appendfsync always", ${advice}.`,
  );
}

/** volatile-* evicts only what expires anyway. */
function assertKeeps(eviction: string): void {
  if (!eviction.startsWith('allkeys-')) return;
  throw new ConfigError(
    `redis: it throws acknowledged writes away when its memory is full (maxmemory-policy ${eviction}). Set "maxmemory-policy noeviction", ${advice}.`,
  );
}

function assertReplicated(connected: string, required: number): void {
  if (connected === '0' || required > 0) return;
  throw new ConfigError(
    `redis: a failover to one of its ${connected} replicas may lose acknowledged writes. Set "min-replicas-to-write 1", ${advice}.`,
  );
}

async function configOf(node: Redis, name: string): Promise<string> {
  let answer: unknown;
  try {
    answer = await node.config('GET', name);
  } catch (error) {
    if (!(error instanceof Error) || !/^(?:NOPERM|ERR unknown command)/.test(error.message)) throw error;
    throw new ConfigError(
      `redis: it does not let this user read its configuration (CONFIG GET), so its durability is unknown. Allow it, ${advice}.`,
      { cause: error },
    );
  }
  const value = (answer as readonly unknown[])[1];
  if (typeof value === 'string') return value;
  throw new ConfigError(
    `redis: it has no setting ${name}, so its durability is unknown. Use Redis 7 or later, ${advice}.`,
  );
}
