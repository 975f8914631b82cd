import { createHash } from 'node:crypto';
import { isCluster, mastersOf, type RedisClient } from './connect.ts';
import { SLOTS } from './slots.ts';

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

/** Names may have been missed: what was found on the nodes proves nothing about the rest. */
export class NamesMissedError extends Error {
  override name = 'NamesMissedError';
}

/**
 * For each node, in that order, which process answers there and which slots it has, as 40 hex digits. A SCAN cursor is
 * valid only in the process that gave it, and a name whose slot moves to a node that is done is on none of the others.
 * So whoever goes over all nodes takes this before the first and has it compared after the last. Throws
 * NamesMissedError while slots are being moved: their names are on two nodes.
 */
export async function holdersOf(client: RedisClient): Promise<string[]> {
  if (!isCluster(client)) return [await runIdOf(client)];
  // It may not know of a node to which all slots went that it has not asked for since.
  await new Promise<void>((resolve, reject) =>
    client.refreshSlotsCache((error) => (error ? reject(error) : resolve())),
  );
  const holders = await Promise.all(
    nodesInOrder(client).map(async (node) => ({ runId: await runIdOf(node), ...(await slotsOf(node)) })),
  );
  const count = holders.reduce((sum, holder) => sum + holder.count, 0);
  if (count !== SLOTS || holders.some(({ isMoving }) => isMoving)) throw new NamesMissedError(MOVING);
  return holders.map(({ runId, id, epoch, slots }) =>
    createHash('sha256')
      .update([runId, id, epoch, ...slots].join(' '))
      .digest('hex')
      .slice(0, 40),
  );
}

const MOVING =
  'slots of the Redis Cluster are being moved, or have no master, so that names may be missed: wait until redis-cli --cluster check finds nothing, then begin anew';

/** Throws NamesMissedError unless the nodes are as `holdersOf` found them. */
export async function assertSameHolders(client: RedisClient, before: readonly string[]): Promise<void> {
  if ((await holdersOf(client)).join() === before.join()) return;
  throw new NamesMissedError(
    'since this began, Redis was restarted, another node took over, or slots of the Redis Cluster moved, so that names may have been missed: begin anew',
  );
}

async function runIdOf(node: Pick<Node, 'info'>): Promise<string> {
  return /^run_id:(\w+)/m.exec(await node.info('server'))?.[1] ?? 'unknown';
}

interface OwnSlots {
  /** Of the node. */
  readonly id: string;
  /** By it a slot shows that went and came back: who takes one has a higher epoch than who had it. */
  readonly epoch: string;
  /** As Redis writes them: 7, or 0-5460. */
  readonly slots: readonly string[];
  readonly count: number;
  readonly isMoving: boolean;
}

/** What a node says of itself: only there are the slots that it is about to give or take (CLUSTER NODES). */
async function slotsOf(node: Node): Promise<OwnSlots> {
  const line = /^.*\bmyself\b.*$/m.exec(String(await node.call('CLUSTER', 'NODES')))?.[0] ?? '';
  const [id = '', , , , , , epoch = '', , ...all] = line.split(' ');
  const slots = all.filter((slot) => !slot.startsWith('['));
  const count = slots.reduce((sum, range) => {
    const [from, to = from] = range.split('-').map(Number) as [number, number?];
    return sum + to - from + 1;
  }, 0);
  return { id, epoch, slots, count, isMoving: slots.length < all.length };
}
