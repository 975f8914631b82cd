import { z } from 'zod';
import type { Notices } from './notices.ts';
import { WorkQueue } from './work-queue.ts';

/**
 * After a domain key was replaced, everything sealed under older ones is resealed: the key space is cut into shards, and the
 * frontends take them from a work queue. An item that is lost, repeated or late does no harm: resealing twice changes nothing,
 * and the domain-manager asks again for what nobody reported.
 */
export const ResealItem = z.object({
  /** The generation that made the domain key to reseal under. */
  generation: z.int().min(1),
  /** Passes repeat until one finds nothing to do: that one is the proof. */
  pass: z.int().min(1),
  shard: z.int().min(0),
  shards: z.int().min(1),
});
export type ResealItem = z.output<typeof ResealItem>;

/** What one pass over one shard found. */
export const ShardReport = z.object({
  /** Tokens that were under an older domain key and are now under the active one. */
  resealed: z.int().min(0),
  /** Tokens that still are under an older one. */
  remaining: z.int().min(0),
});
export type ShardReport = z.output<typeof ShardReport>;

/** Redis hash of the progress of a generation; a shard's report is the field `<pass>:<shard>`, as JSON. */
export function resealProgressKey(domain: string, generation: number): string {
  return `kf:domain:{${domain}}:reseal:${generation}`;
}

export function reportField({ pass, shard }: Pick<ResealItem, 'pass' | 'shard'>): string {
  return `${pass}:${shard}`;
}

export const resealQueue = new WorkQueue<ResealItem>({
  stream: 'KEYFLEET_RESEAL',
  subjects: 'keyfleet.reseal.item',
  subjectOf: () => 'keyfleet.reseal.item',
  item: ResealItem,
});

/** True when JetStream stored them. `attempt` tells a repetition on purpose from one by accident, which JetStream drops. */
export function publishResealItems(
  notices: Pick<Notices, 'connection'>,
  items: readonly ResealItem[],
  attempt: number,
): Promise<boolean> {
  return resealQueue.publish(
    notices,
    items,
    ({ generation, pass, shard }) => `${generation}/${pass}/${shard}/${attempt}`,
  );
}
