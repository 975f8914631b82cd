import { z } from 'zod';
import type { Notices } from './notices.ts';
import { WorkQueue } from './work-queue.ts';

/**
 * After a domain key is replaced, everything sealed under older ones is resealed. A pass covers the key space once,
 * part by part; each shard is one frontend's turn at taking parts, so that several share the work. A lost, repeated or
 * late queue item does no harm: resealing twice changes nothing, and the domain-manager asks again when progress stops.
 */
export const ResealItem = z.strictObject({
  /** The generation that made the domain key to reseal under. */
  generation: z.int().min(1),
  /** Passes repeat until one finds nothing to do, which is the proof of completion. */
  pass: z.int().min(1),
  shard: z.int().min(0),
  shards: z.int().min(1),
});
export type ResealItem = z.output<typeof ResealItem>;

/** How many frontends can work on a pass at once. Each has one shard at a time. */
export const RESEAL_SHARDS = 16;

/** The most bytes of what a pass has in one field, but for where its first untaken part begins. */
export const PROGRESS_BYTES = 256;

/** The findings in the parts taken for a shard. */
export const ShardReport = z.object({
  /** Tokens that were under an older domain key and are now under the active one. */
  resealed: z.int().min(0),
  /** Tokens still under an older one, and parts that nobody finished looking through. */
  remaining: z.int().min(0),
  /** How many parts were taken. */
  parts: z.int().min(0),
  /** `in-part`: somebody works on the last part, or the frontend that took it is gone. */
  standing: z.enum(['between', 'in-part', 'done']),
});
export type ShardReport = z.output<typeof ShardReport>;

/** Undefined for anything else: whoever can write to Redis may have put it there. */
export function shardReportOf(stored: string): ShardReport | undefined {
  try {
    return ShardReport.parse(JSON.parse(stored));
  } catch {
    return undefined;
  }
}

/** The field of a shard's report, as JSON, in the hash of its generation's progress. */
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
 * Resolves to true if JetStream stored them. `attempt` distinguishes a deliberate repetition from an accidental one,
 * which JetStream drops.
 */
export function publishResealItems(
  notices: Pick<Notices, 'connection' | 'streamReplicas'>,
  items: readonly ResealItem[],
  { attempt, onProblem }: { readonly attempt: number; readonly onProblem: (problem: unknown) => void },
): Promise<boolean> {
  const idOf = ({ generation, pass, shard }: ResealItem) => `${generation}/${pass}/${shard}/${attempt}`;
  return resealQueue.publish(notices, items, { idOf, onProblem });
}
