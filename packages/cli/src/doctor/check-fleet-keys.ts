import { Fleet } from '@keyfleet/frontend/store/fleet';
import { DamagedRecordError } from '@keyfleet/frontend/store/store';
import { systemClock } from '@keyfleet/shared/clock';
import type { RedisClient } from '@keyfleet/shared/redis/connect';
import { isOfKind, storedNameOf } from '@keyfleet/shared/stored/names';
import { CliError } from '../cli-error.ts';
import { openHostHsm } from '../host-pool.ts';
import { firstOf, keptIn } from '../left-out.ts';
import { openRecords } from '../records.ts';
import { pagesOfAllNames } from '../redis-option.ts';
import { loadStoredDomain } from '../stored-domain.ts';
import { hostOf, type HostOptions } from './check-material.ts';
import type { Patient } from './checks.ts';

const COMMAND_TIMEOUT_MS = 10_000;

/**
 * Whether the keys that frontends share are some, as a frontend judges that, which two members open them for. Throws a
 * CliError that names the others, and leaves them to frontends.
 */
export async function checkFleetKeys(patient: Patient, options: HostOptions): Promise<string> {
  const host = hostOf(options);
  await using redis = await patient.openRedis();
  await using hsm = await openHostHsm(host, patient, redis);
  const { secrets } = await openRecords(redis, hsm, patient);
  const { state } = await loadStoredDomain(redis, patient);
  const foreign: string[] = [];
  const refuse = keptIn(foreign);
  const fleet = new Fleet({
    store: {
      findFleetKey: (name, id) => secrets.findFleetKey(name, id),
      listFleetKeys: async () => [],
      insertFleetKey: async () => {},
      dropFleetKey: async () => {},
    },
    hsm,
    domain: { state, refresh: async () => {} },
    clock: systemClock,
    events: { fleetKeyDropped: ({ message }) => refuse(message) },
  });
  let opened = 0;
  for await (const name of purposesIn(redis)) {
    const keys = fleet.keys({ name, info: '', outlivesRemovals: true });
    for (const { id } of state.domainKeys) {
      try {
        if ((await keys.find(id, systemClock.now() + COMMAND_TIMEOUT_MS)) !== undefined) opened++;
      } catch (error) {
        if (!(error instanceof DamagedRecordError)) throw error;
        refuse(error.message);
      }
    }
  }
  if (foreign.length === 0) return `all ${opened} open`;
  throw new CliError(`${firstOf(foreign).join(' ')} Remove each with HDEL; frontends make another.`);
}

async function* purposesIn(redis: RedisClient): AsyncGenerator<string> {
  for await (const names of pagesOfAllNames(redis))
    for (const name of names) if (isOfKind(name, 'fleetKeys')) yield storedNameOf(name)!.tag;
}
