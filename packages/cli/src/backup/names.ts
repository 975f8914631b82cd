import type { RedisClient } from '@keyfleet/shared/redis/connect';
import { nodesInOrder, scanNames } from '@keyfleet/shared/redis/nodes';
import type { Position } from './format.ts';
import { isOfStage, scanPatternOf, STAGES } from './stages.ts';

const START: Position = { stage: 0, node: 0, cursor: '0' };

export interface NamePage {
  readonly names: readonly string[];
  /** Where the next page begins; undefined after the last. */
  readonly next?: Position;
}

/**
 * Iterates over all names that are backed up, stage by stage, from `begin`. A name that exists throughout appears at
 * least once.
 */
export async function* pagesOfNames(redis: RedisClient, begin: Position = START): AsyncGenerator<NamePage> {
  const nodes = nodesInOrder(redis);
  for (let at: Position | undefined = begin; at !== undefined;) {
    const { stage, node } = at;
    const [cursor, found] = await scanNames(nodes[node]!, at.cursor, scanPatternOf(stage));
    const next = nextOf(at, cursor, nodes.length);
    const names = [...new Set(found)].filter((name) => isOfStage(name, stage));
    yield { names, ...(next !== undefined && { next }) };
    at = next;
  }
}

function nextOf({ stage, node }: Position, cursor: string, nodes: number): Position | undefined {
  if (cursor !== '0') return { stage, node, cursor };
  if (node + 1 < nodes) return { stage, node: node + 1, cursor };
  return stage + 1 < STAGES ? { stage: stage + 1, node: 0, cursor } : undefined;
}
