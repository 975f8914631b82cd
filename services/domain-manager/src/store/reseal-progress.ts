import { reportField, type ShardReport } from '@keyfleet/shared/reseal-queue';
import type { ResealProgress } from './store.ts';

/** `reports`: those of every pass, by field. */
export function progressOf(stored: {
  pass: number;
  shards: number;
  startedAt: number;
  reports: ReadonlyMap<string, ShardReport>;
  verifiedAt?: number;
}): ResealProgress {
  const { pass, shards, startedAt, reports, verifiedAt } = stored;
  const done = new Map<number, ShardReport>();
  let parts = 0;
  for (let shard = 0; shard < shards; shard++) {
    const report = reports.get(reportField({ pass, shard }));
    parts += report?.parts ?? 0;
    if (report?.standing === 'done') done.set(shard, report);
  }
  const resealed = [...reports.values()].reduce((sum, report) => sum + report.resealed, 0);
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
