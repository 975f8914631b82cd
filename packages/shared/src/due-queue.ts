import { z } from 'zod';
import { WorkQueue } from './work-queue.ts';

/** How many lists the keys with a date are spread over. Part of the stored format: never change it. */
export const DUE_SHARDS = 16;

/**
 * A queue for what customers set a date for: deletions and automatic rotations. The domain-manager asks, and whichever
 * frontend takes the item carries it out. Only the keys' records decide what is due, so a lost or repeated item does no
 * harm.
 */
export const DueItem = z.strictObject({
  shard: z
    .int()
    .min(0)
    .max(DUE_SHARDS - 1),
});
export type DueItem = z.output<typeof DueItem>;

/** The same request is never queued twice: items do not pile up while no frontend takes them. */
export const dueQueue = new WorkQueue<DueItem>({
  stream: 'KEYFLEET_DUE',
  subjects: 'keyfleet.due.*',
  subjectOf: ({ shard }) => `keyfleet.due.${shard}`,
  item: DueItem,
  onePerSubject: true,
});
