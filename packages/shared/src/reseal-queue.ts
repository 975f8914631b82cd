import { z } from 'zod';
import type { Notices } from './notices.ts';
import { WorkQueue } from './work-queue.ts';

/**
 * After a domain key was replaced, everything sealed under older ones is resealed. A pass goes over the key space once,
 * part by part; each shard is one frontend's turn at taking parts, so that several share the work. An item of the work
 * queue that is lost, repeated or late does no harm: resealing twice changes nothing, and the domain-manager asks again
 * when nothing moves any more.
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

/** What was found in the parts that were taken for a shard. */
export const ShardReport = z.object({
  /** Tokens that were under an older domain key and are now under the active one. */
  resealed: z.int().min(0),
  /** Tokens that still are under an older one, and parts that nobody looked at to the end. */
  remaining: z.int().min(0),
  /** How many parts were taken. */
  parts: z.int().min(0),
  /** `in-part`: the last one is being worked on, or whoever took it is gone. */
  standing: z.enum(['between', 'in-part', 'done']),
});
export type ShardReport = z.output<typeof ShardReport>;

/** A shard's report, as JSON, in the hash of its generation's progress. */
export function reportField({ pass, shard }: Pick<ResealItem, 'pass' | 'shard'>): string {
  return `${pass}:${shard}`;
}

/** At most one item of a shard waits, so that items do not pile up while nobody takes them. */
export const resealQueue = new WorkQueue<ResealItem>({
  stream: 'KEYFLEET_RESEAL_SHARDS',
  formerStream: 'KEYFLEET_RESEAL',
  subjects: 'keyfleet.reseal.shard.*',
  subjectOf: ({ shard }) => `keyfleet.reseal.shard.${shard}`,
  item: ResealItem,
  onePerSubject: true,
});

/**
 * True when JetStream stored them. `attempt` tells a repetition on purpose from one by accident, which JetStream drops.
 */
export function publishResealItems(
  notices: Pick<Notices, 'connection' | 'streamReplicas'>,
  items: readonly ResealItem[],
  attempt: number,
): Promise<boolean> {
  return resealQueue.publish(
    notices,
    items,
    ({ generation, pass, shard }) => `${generation}/${pass}/${shard}/${attempt}`,
  );
}
