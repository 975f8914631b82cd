import type { RedisClient } from '@keyfleet/shared/redis/connect';

export type StoredTestValue = string | Buffer | Readonly<Record<string, string | Buffer>>;

/** A Redis that holds these strings and hashes, and answers the script that reads them (redis/stored-values). */
export function redisWith(values: Readonly<Record<string, StoredTestValue>>): RedisClient {
  const read = (name: string, fields: readonly string[]): (Buffer | null)[] => {
    const value = values[name];
    if (value === undefined) return [];
    if (typeof value === 'string' || Buffer.isBuffer(value)) return [Buffer.from(value)];
    return fields.map((field) => (value[field] === undefined ? null : Buffer.from(value[field])));
  };
  return {
    eval_roBuffer: async (_script: string, _keys: 1, name: string, _type: string, _max: number, ...args: string[]) =>
      read(name, args.slice(1)),
    exists: async (name: string) => Number(name in values),
  } as unknown as RedisClient;
}
