import { ServiceEvents, type ServiceEvent } from '@keyfleet/frontend/audit/service-events';
import { carryOutDue } from '@keyfleet/frontend/background/due';
import { DUE_SHARDS } from '@keyfleet/shared/due-queue';
import { type FakeFrontend, regions } from './frontend.ts';
import type { LocalHsm } from './local-hsm.ts';

/** Does what is due of all keys, as the domain-manager has it done. Answers what the service recorded of it. */
export async function carryOutAll(
  frontend: FakeFrontend<LocalHsm>,
  onLeft = (_due: unknown, error: unknown): void => {
    throw error;
  },
): Promise<ServiceEvent[]> {
  const clock = { now: () => frontend.now };
  const events: ServiceEvent[] = [];
  const write = (record: string) => void events.push(JSON.parse(record) as ServiceEvent);
  const serviceEvents = new ServiceEvents({ isFull: false, write, settled: () => Promise.resolve() }, clock);
  const { store, grants, hsm, keyStores, clusters } = frontend;
  const deps = { store, grants, hsm, keyStores, clusters, clock, serviceEvents, regions, onLeft };
  for (let shard = 0; shard < DUE_SHARDS; shard++) await carryOutDue(shard, deps, () => {});
  frontend.serviceEvents.push(...events);
  return events;
}
