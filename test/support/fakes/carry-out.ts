import type { AuditSink } from '@keyfleet/frontend/audit/sink';
import { ServiceEvents, type ServiceEvent } from '@keyfleet/frontend/audit/service-events';
import { type CarryOutDeps, carryOutDue } from '@keyfleet/frontend/background/due';
import type { HsmCommands } from '@keyfleet/frontend/hsm/commands';
import type { MemoryStore } from '@keyfleet/frontend/store/memory-store';
import { StoreUnavailableError } from '@keyfleet/frontend/store/store';
import type { KmsKey } from '@keyfleet/frontend/keys/kms-key';
import { DUE_SHARDS } from '@keyfleet/shared/due-queue';
import { dueKeyOf, dueShardOf, restoredEntryOf } from '@keyfleet/shared/stored/due-entries';
import { type FakeFrontend, regions } from './frontend.ts';

function throwLeft(_due: unknown, error: unknown): void {
  throw error;
}

/**
 * Does what is due of all keys, as the domain-manager has it done: one item for each shard. Answers what the service
 * recorded of it.
 */
export async function carryOutAll(
  frontend: FakeFrontend<HsmCommands>,
  overrides: Partial<CarryOutDeps> = {},
  sink: Partial<AuditSink> = {},
): Promise<ServiceEvent[]> {
  const clock = { now: () => frontend.now };
  const from = frontend.serviceEvents.length;
  const write = (record: string) => void frontend.serviceEvents.push(JSON.parse(record) as ServiceEvent);
  const serviceEvents = new ServiceEvents({ isFull: false, write, settled: () => Promise.resolve(), ...sink }, clock);
  const restoredAt = () => Promise.resolve(0);
  const { store, grants, hsm, keyStores, clusters } = frontend;
  const given = {
    store,
    grants,
    hsm,
    keyStores,
    clusters,
    clock,
    serviceEvents,
    regions,
    restoredAt,
    onPutOff: () => {},
    onLeft: throwLeft,
  };
  for (let shard = 0; shard < DUE_SHARDS; shard++) await carryOutDue(shard, { ...given, ...overrides }, () => {});
  return frontend.serviceEvents.slice(from);
}

/** The store, where a restore has just put these keys. */
export function restoredStore(store: MemoryStore, keys: readonly KmsKey[]): MemoryStore {
  const entries = new Set(keys.map(restoredEntryOf).filter((entry) => entry !== undefined));
  return storeWith(store, {
    async listDue(shard, until, page) {
      const { items, ...rest } = await store.listDue(shard, until, page);
      const own = [...entries].map(dueKeyOf).filter((due) => page.after === undefined && dueShardOf(due) === shard);
      return { ...rest, items: [...own, ...items] };
    },
    async removeDue(shard, due) {
      entries.delete(due.entry);
      await store.removeDue(shard, due);
    },
  });
}

/** The store, but for some methods. */
export function storeWith(store: MemoryStore, methods: Partial<MemoryStore>): MemoryStore {
  return new Proxy(store, {
    get(target, name) {
      const value: unknown = Reflect.get(methods, name) ?? Reflect.get(target, name);
      return typeof value === 'function' ? (value.bind(target) as unknown) : value;
    },
  });
}

/**
 * The store with one method that fails once, on the first call unless told otherwise, after or before it has done its
 * work.
 */
export function failingOnce(
  store: CarryOutDeps['store'],
  method: 'deleteKey' | 'claimEvents' | 'forgetEvents' | 'clearTraces' | 'updateKey' | 'removeDue',
  when: 'before' | 'after',
  call = 1,
): CarryOutDeps['store'] {
  let calls = 0;
  return new Proxy(store, {
    get(target, name) {
      const value: unknown = Reflect.get(target, name);
      if (typeof value !== 'function') return value;
      return async (...args: unknown[]) => {
        if (name === method) calls++;
        const fails = name === method && calls === call;
        const result: unknown = fails && when === 'before' ? undefined : await value.apply(target, args);
        if (fails) throw new StoreUnavailableError('cut off');
        return result;
      };
    },
  });
}

/** How many keys have an entry among those with a date. */
export async function countDue(store: Pick<CarryOutDeps['store'], 'listDue'>): Promise<number> {
  let count = 0;
  for (let shard = 0; shard < DUE_SHARDS; shard++) {
    count += (await store.listDue(shard, Number.MAX_SAFE_INTEGER / 2, { limit: 1000 })).items.length;
  }
  return count;
}
