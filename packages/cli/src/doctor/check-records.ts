import { DamagedRecordError } from '@keyfleet/frontend/store/store';
import { CliError } from '../cli-error.ts';
import { firstOf, keptIn } from '../left-out.ts';
import { openHostHsm } from '../host-pool.ts';
import { OlderRecords } from '../older-records.ts';
import { openRecords, pagesOfRecords } from '../records.ts';
import { Unlisted } from '../unlisted.ts';
import { hostOf, type HostOptions } from './check-material.ts';
import type { Patient } from './checks.ts';

/** Whether a frontend wrote every record where it is, and lists have it. Throws a CliError that names the others. */
export async function checkRecords(patient: Patient, options: HostOptions): Promise<string> {
  const host = hostOf(options);
  await using redis = await patient.openRedis();
  await using hsm = await openHostHsm(host, patient, redis);
  const { calls, macs, keys } = await openRecords(redis, hsm, patient);
  const older = new OlderRecords((await keys.look()).newest);
  const unlisted = new Unlisted(redis);
  let genuine = 0;
  const refused: string[] = [];
  const refuse = keptIn(refused);
  for await (const { records, damaged } of pagesOfRecords(redis, calls)) {
    damaged.forEach(refuse);
    const read = await Promise.allSettled(
      records
        .filter((one) => !older.has(one))
        .map(async ({ place, stored }) => ({ place, stored, record: await macs.verified(place, stored) })),
    );
    await unlisted.look(read.flatMap((outcome) => (outcome.status === 'fulfilled' ? [outcome.value] : [])));
    for (const outcome of read) {
      if (outcome.status === 'fulfilled') genuine++;
      else if (outcome.reason instanceof DamagedRecordError) refuse(outcome.reason.message);
      else throw outcome.reason;
    }
    patient.progress.tell(() => `records: ${genuine + refused.length} checked`);
  }
  refused.unshift(...older.problems(), ...(await unlisted.problems()));
  if (refused.length === 0) return `all ${genuine} are authentic`;
  throw new CliError(firstOf(refused).join('; '));
}
