import { mastersOf, type RedisClient } from './connect.ts';

/**
 * How many places of its table Redis examines per SCAN. With a million names, 1,000 places block Redis for 1.9 ms and
 * 250 for 0.9; to go over all names then takes 15 % longer (docs/performance.md).
 */
const SCAN_COUNT = 250;

/** A principal's ARN, which the list of grants that it may retire is named after, has up to 2,048 characters. */
const NAME_BYTES = 4096;

/** ARGV: cursor, pattern, count, the most bytes of a name. */
const SCAN = `
local page = redis.call('SCAN', ARGV[1], 'MATCH', ARGV[2], 'COUNT', ARGV[3])
for i, name in ipairs(page[2]) do page[2][i] = string.sub(name, 1, tonumber(ARGV[4])) end
return page`;

type Node = ReturnType<typeof mastersOf>[number];

/**
 * One step of SCAN. Of a name that is longer than any of ours, only the beginning: whoever once wrote to Redis may have
 * left one of half a gigabyte.
 */
export function scanNames(node: Node, cursor: string, pattern: string): Promise<[next: string, names: string[]]> {
  const args = [cursor, pattern, SCAN_COUNT, NAME_BYTES];
  return node.call('EVAL_RO', SCAN, 0, ...args) as Promise<[string, string[]]>;
}

/** The connections to every node that takes writes, in the same order for everybody. */
export function nodesInOrder(client: RedisClient): Node[] {
  const addressOf = ({ options: { host, port } }: Node) => `${host}:${port}`;
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
