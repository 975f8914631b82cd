import { isCluster, mastersOf, type RedisClient } from '@keyfleet/shared/redis/connect';
import type { RedisNode } from '../redis-option.ts';

/** Those of `--redis`; none without Sentinel. */
export interface Sentinels {
  readonly masterName: string;
  readonly nodes: readonly RedisNode[];
}

/**
 * Where Sentinels, or the nodes of a Redis Cluster, know more than there are: they log in to each, and may have one
 * become a master. They go on knowing whoever followed once, and their names for a node may be others than the
 * operator's, so this counts.
 */
export async function tooManyKnown(
  redis: RedisClient,
  nodes: readonly RedisNode[],
  sentinels: Sentinels,
): Promise<string[]> {
  const ofSentinels = await Promise.all(sentinels.nodes.map((one) => knownBySentinel(one, nodes.length, sentinels)));
  return [...ofSentinels.flat(), ...(isCluster(redis) ? await knownInCluster(redis, nodes.length) : [])];
}

async function knownBySentinel(
  { address, open }: RedisNode,
  count: number,
  { masterName, nodes }: Sentinels,
): Promise<string[]> {
  try {
    await using sentinel = await open();
    const known = async (what: string): Promise<string[]> => {
      const all = (await sentinel.call('SENTINEL', what, masterName)) as string[][];
      return all.map((fields) => `${fieldOf(fields, 'ip')}:${fieldOf(fields, 'port')}`);
    };
    const [replicas, others] = [await known('REPLICAS'), await known('SENTINELS')];
    return [
      ...excess(`Sentinel ${address} knows`, replicas, count - 1, `replicas, and --redis-nodes names ${count} nodes`),
      ...excess(`Sentinel ${address} knows`, others, nodes.length - 1, `others, and --redis names ${nodes.length}`),
    ];
  } catch (error) {
    return [`Sentinel ${address}: ${(error as Error).message.replace(/\.$/, '')}`];
  }
}

async function knownInCluster(redis: RedisClient, count: number): Promise<string[]> {
  const lines = (await Promise.all(mastersOf(redis).map((node) => node.call('CLUSTER', 'NODES')))) as string[];
  const known = new Map(lines.flatMap((text) => [...text.matchAll(/^(\w+) (\S*?)@/gm)].map(([, id, at]) => [id, at!])));
  return excess('the cluster knows', [...known.values()], count, `nodes, and --redis-nodes names ${count}`);
}

function excess(who: string, known: readonly string[], most: number, what: string): string[] {
  return known.length > most ? [`${who} ${known.length} (${known.join(', ')}) ${what}`] : [];
}

/** Of names and values in turn. */
function fieldOf(fields: readonly string[], name: string): string | undefined {
  return fields[fields.indexOf(name) + 1];
}
