import { mastersOf, type RedisClient } from './connect.ts';

/**
 * How many places of its table Redis examines per SCAN. With a million names, 1,000 places block Redis for 1.9 ms and
 * 250 for 0.9; to go over all names then takes 15 % longer (docs/performance.md).
 */
export const SCAN_COUNT = 250;

/** The connections to every node that takes writes, in the same order for everybody. */
export function nodesInOrder(client: RedisClient): ReturnType<typeof mastersOf> {
  const addressOf = ({ options: { host, port } }: ReturnType<typeof mastersOf>[number]) => `${host}:${port}`;
  return mastersOf(client).toSorted((a, b) => (addressOf(a) < addressOf(b) ? -1 : 1));
}

/**
 * The run ids of the processes that answer now, in that order: a SCAN cursor is valid only in the process that gave it.
 */
export function runIdsOf(client: RedisClient): Promise<string[]> {
  return Promise.all(
    nodesInOrder(client).map(async (node) => /^run_id:(\w+)/m.exec(await node.info('server'))?.[1] ?? 'unknown'),
  );
}
