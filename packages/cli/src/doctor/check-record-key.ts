import type { MadeRecordKey } from '@keyfleet/frontend/store/record-key';
import { DamagedRecordError } from '@keyfleet/frontend/store/store';
import type { RedisClient } from '@keyfleet/shared/redis/connect';
import { CliError } from '../cli-error.ts';
import { type HostArgs, openHostHsm } from '../host-pool.ts';
import type { OpenDomain } from '../options.ts';
import { openRecords } from '../records.ts';
import { hostOf, type HostOptions } from './check-material.ts';
import type { Patient } from './checks.ts';
import { judgedRecordKey } from './record-key.ts';

/** As `checkRecordKey`, of the record key that hsm-workers open. */
export async function checkOpenedRecordKey(patient: Patient, options: HostOptions): Promise<string> {
  const host = hostOf(options);
  await using redis = await patient.openRedis();
  const key = await openNewestRecordKey(redis, host, patient);
  const { state } = await patient.client.getDomain(patient.anchor);
  return key === undefined ? 'none was needed yet' : judgedRecordKey(state, key);
}

/** The newest that frontends use, once two members have opened it; undefined if there is none. */
export async function openNewestRecordKey(
  redis: RedisClient,
  host: HostArgs,
  open: OpenDomain,
): Promise<MadeRecordKey | undefined> {
  await using hsm = await openHostHsm(host, open, redis);
  const { keys } = await openRecords(redis, hsm, open);
  try {
    const { newest: number, madeIn = 0 } = await keys.look();
    return number === 0 ? undefined : { number, madeIn };
  } catch (cause) {
    throw cause instanceof DamagedRecordError ? new CliError(cause.message, { cause }) : cause;
  }
}
