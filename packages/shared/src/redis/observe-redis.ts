import { observeGauge } from '../telemetry/meters.ts';
import { telemetryOn } from '../telemetry/settings.ts';
import { mastersOf, type RedisClient } from './connect.ts';
import { infoOf } from './durability.ts';

/** As often as its durability is looked at: an alert waits longer. */
const LOOK_EVERY_MS = 10_000;

/** A Redis that takes writes, as it describes itself. */
export interface RedisHealth {
  /** That have what was written lately; undefined where it asks for none (`min-replicas-to-write`). */
  readonly replicas: number | undefined;
  /** The share of `maxmemory` that is used, after which it takes no writes; undefined without `maxmemory`. */
  readonly memoryUsed: number | undefined;
  /** Whether what it did last to its append-only file succeeded. */
  readonly persists: boolean;
}

/** Metrics of Redis, from INFO, for which each service's user may ask. `client`: one on which no write is awaited. */
export function observeRedis(client: RedisClient): Disposable {
  if (!telemetryOn) return { [Symbol.dispose]() {} };
  let health: RedisHealth | undefined;
  const look = (): void => void redisHealth(client).then((seen) => (health = seen));
  observeGauge('keyfleet.redis.up', () => Number(health !== undefined));
  observeGauge('keyfleet.redis.replicas', () => health?.replicas);
  observeGauge('keyfleet.redis.memory.used.ratio', () => health?.memoryUsed);
  observeGauge('keyfleet.redis.persists', () => health && Number(health.persists));
  client.on('ready', look);
  const timer = setInterval(look, LOOK_EVERY_MS).unref();
  return {
    [Symbol.dispose]() {
      client.off('ready', look);
      clearInterval(timer);
    },
  };
}

/** The worst of the masters of a Redis Cluster; undefined if one does not answer or takes no writes. */
export async function redisHealth(client: RedisClient): Promise<RedisHealth | undefined> {
  try {
    const infos = await Promise.all(mastersOf(client).map((node) => infoOf(node)));
    if (infos.length === 0 || infos.some(({ role }) => role !== 'master')) return undefined;
    const numbers = (of: (info: (typeof infos)[number]) => number): number[] =>
      infos.map(of).filter((value) => Number.isFinite(value));
    const replicas = numbers(({ min_slaves_good_slaves: good }) => Number(good));
    const memory = numbers(({ used_memory: used, maxmemory: most }) => Number(used) / Number(most));
    return {
      replicas: replicas.length === 0 ? undefined : Math.min(...replicas),
      memoryUsed: memory.length === 0 ? undefined : Math.max(...memory),
      persists: infos.every((info) =>
        ['aof_last_write_status', 'aof_last_bgrewrite_status'].every((did) => info[did] === 'ok'),
      ),
    };
  } catch {
    return undefined;
  }
}
