import { createSecretKey } from 'node:crypto';
import { RedisSealedRecords } from '@keyfleet/frontend/background/redis-sealed-records';
import { Acknowledged } from '@keyfleet/frontend/store/acknowledged';
import { type Connections, RedisCalls } from '@keyfleet/frontend/store/redis-calls';
import { RecordMacs } from '@keyfleet/frontend/store/record-macs';
import { RecordWrites } from '@keyfleet/frontend/store/record-writes';
import { RedisStore, type RedisStoreDeps } from '@keyfleet/frontend/store/redis-store';
import type { RedisClient } from '@keyfleet/shared/redis/connect';
import { FakeDomain } from './fakes/fake-domain.ts';
import { writesOf } from './redis-client.ts';

const key = createSecretKey(Buffer.alloc(32, 7));
/** Of frontends that have one record key, and no HSM. */
export const testKeys = {
  newest: () => ({ number: 1, key }),
  find: (number: number) => (number === 1 ? key : undefined),
};
export function testMacs(): RecordMacs {
  return new RecordMacs(testKeys);
}

type Options = Connections & Omit<RedisStoreDeps, 'calls' | 'macs'>;

/** A store as frontends open it, whose records have the MACs of tests. */
export function openStore({ clock, monotonicClock, acknowledged, events, ...connections }: Options): RedisStore {
  return new RedisStore({
    calls: new RedisCalls(connections),
    macs: testMacs(),
    clock,
    ...(monotonicClock && { monotonicClock }),
    ...(acknowledged && { acknowledged }),
    events,
  });
}

/** What resealing finds, where frontends use the record keys from 1 to 2, or those that `uses` says. */
export function newSealedRecords(
  client: RedisClient,
  {
    domainState = () => new FakeDomain().state,
    uses = async (number: number, _token: Uint8Array) => number <= 2,
    acknowledged = new Acknowledged(),
  } = {},
): RedisSealedRecords {
  const calls = new RedisCalls({ client, writes: writesOf(client) });
  return new RedisSealedRecords({
    calls,
    macs: testMacs(),
    keys: new RecordWrites(calls, { now: Date.now }),
    acknowledged,
    recordKeys: { uses },
    domainState,
  });
}
