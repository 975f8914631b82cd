import { z } from 'zod';
import { WorkQueue } from './work-queue.ts';

/** How many lists the keys with a date are spread over. It is part of how they are stored: never changed. */
export const DUE_SHARDS = 16;

/**
 * What customers set a date for, deletions and automatic rotations, is carried out when the domain-manager asks for it,
 * by whichever frontend takes the item. What is due is decided by the keys' records alone, so an item that is lost or
 * repeated does no harm.
 */
export const DueItem = z.object({
  shard: z
    .int()
    .min(0)
    .max(DUE_SHARDS - 1),
});
export type DueItem = z.output<typeof DueItem>;

/** Nobody is asked twice for the same: while no frontend takes them, items do not pile up. */
export const dueQueue = new WorkQueue<DueItem>({
  stream: 'KEYFLEET_DUE',
  subjects: 'keyfleet.due.*',
  subjectOf: ({ shard }) => `keyfleet.due.${shard}`,
  item: DueItem,
  onePerSubject: true,
});
