import { reportField, type ShardReport } from '@keyfleet/shared/reseal-queue';
import type { ResealProgress } from './store.ts';

/** `reports`: those of this pass, by field. `resealed`: in earlier passes. */
export function progressOf(stored: {
  pass: number;
  shards: number;
  startedAt: number;
  reports: ReadonlyMap<string, ShardReport | undefined>;
  verifiedAt?: number | undefined;
  resealed: number;
}): ResealProgress {
  const { pass, shards, startedAt, reports, verifiedAt } = stored;
  const done = new Map<number, ShardReport>();
  let parts = 0;
  let resealed = stored.resealed;
  for (let shard = 0; shard < shards; shard++) {
    const report = reports.get(reportField({ pass, shard }));
    parts += report?.parts ?? 0;
    resealed += report?.resealed ?? 0;
    if (report?.standing === 'done') done.set(shard, report);
  }
  return {
    pass,
    shards,
    startedAt,
    reports: done,
    parts,
    resealed,
    ...(verifiedAt === undefined ? {} : { verifiedAt }),
  };
}
