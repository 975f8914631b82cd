import { createSecretKey } from 'node:crypto';
import { type Connections, RedisCalls } from '@keyfleet/frontend/store/redis-calls';
import { RecordMacs } from '@keyfleet/frontend/store/record-macs';
import { RedisFleetSecrets } from '@keyfleet/frontend/store/redis-fleet-secrets';
import { RedisStore, type RedisStoreDeps } from '@keyfleet/frontend/store/redis-store';
import type { FleetKeyStore, FleetSecretStore } from '@keyfleet/frontend/store/store';

/** The MACs of frontends that have one record key, and no HSM. */
export function testMacs(): RecordMacs {
  const key = createSecretKey(Buffer.alloc(32, 7));
  return new RecordMacs({ newest: () => ({ number: 1, key }), find: (number) => (number === 1 ? key : undefined) });
}

type Options = Connections & Omit<RedisStoreDeps, 'calls' | 'macs'>;

/** A store as frontends open it, whose records have the MACs of tests. */
export function openStore({
  clock,
  monotonicClock,
  acknowledged,
  ...connections
}: Options): RedisStore & FleetSecretStore & FleetKeyStore {
  const calls = new RedisCalls(connections);
  const secrets = new RedisFleetSecrets(calls);
  const store = new RedisStore({
    calls,
    macs: testMacs(),
    clock,
    ...(monotonicClock && { monotonicClock }),
    ...(acknowledged && { acknowledged }),
  });
  return Object.assign(store, {
    findSecret: secrets.findSecret.bind(secrets),
    insertSecret: secrets.insertSecret.bind(secrets),
    findFleetKey: secrets.findFleetKey.bind(secrets),
    insertFleetKey: secrets.insertFleetKey.bind(secrets),
    listFleetKeys: secrets.listFleetKeys.bind(secrets),
    dropFleetKey: secrets.dropFleetKey.bind(secrets),
  });
}
