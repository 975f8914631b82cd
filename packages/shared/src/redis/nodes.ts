import { mastersOf, type RedisClient } from './connect.ts';

/** The connections to every node that takes writes, in an order that is the same for everybody. */
export function nodesInOrder(client: RedisClient): ReturnType<typeof mastersOf> {
  const addressOf = ({ options: { host, port } }: ReturnType<typeof mastersOf>[number]) => `${host}:${port}`;
  return mastersOf(client).toSorted((a, b) => (addressOf(a) < addressOf(b) ? -1 : 1));
}

/**
 * Of the processes that answer now, in that order: a cursor of SCAN is good in the process that gave it, and in no
 * other.
 */
export function runIdsOf(client: RedisClient): Promise<string[]> {
  return Promise.all(
    nodesInOrder(client).map(async (node) => /^run_id:(\w+)/m.exec(await node.info('server'))?.[1] ?? 'unknown'),
  );
}
