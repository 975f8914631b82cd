import { connectRedis, type RedisClient, RedisConfig, untilReady } from '@keyfleet/shared/redis/connect';
import { DurableWrites } from '@keyfleet/shared/redis/durable-writes';

/** For tests of what is stored: while others write to the same disk, a command may take longer than a service waits. */
export const PATIENCE_MS = 20_000;

/** A connection as services make it, once it is up; with their patience, unless told otherwise. */
export async function connectTestRedis(
  target: string | number,
  commandTimeout?: number,
): Promise<RedisClient & AsyncDisposable> {
  const url = typeof target === 'number' ? `redis://127.0.0.1:${target}` : target;
  const client = connectRedis(RedisConfig.parse({ url }), { onProblem: () => {} }, commandTimeout);
  await untilReady(client, 20_000);
  return client;
}

/** What a service writes through; `replicas` must have each write. */
export function writesOf(client: RedisClient, replicas = 0): DurableWrites {
  return new DurableWrites(client, () => ({ replicas }));
}

/** The client of a process that dies after so many writes. */
export function dyingAfter(count: number, client: RedisClient): RedisClient {
  let left = count;
  const isWrite = (member: string | symbol) => member === 'call' || member === 'eval';
  return new Proxy(client, {
    get: (target, member) => {
      const value: unknown = Reflect.get(target, member);
      if (!isWrite(member) || typeof value !== 'function') return value;
      return (...args: unknown[]): unknown =>
        left-- > 0 ? value.apply(target, args) : Promise.reject(new Error('killed'));
    },
  });
}
