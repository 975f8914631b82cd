import { type Connections, RedisCalls } from '@keyfleet/frontend/store/redis-calls';
import { RedisFleetSecrets } from '@keyfleet/frontend/store/redis-fleet-secrets';
import { RedisStore, type RedisStoreDeps } from '@keyfleet/frontend/store/redis-store';
import type { FleetSecretStore } from '@keyfleet/frontend/store/store';
import { testMacs } from './record-macs.ts';

type Options = Connections & Omit<RedisStoreDeps, 'calls' | 'macs'>;

/** A store as frontends open it, whose records have the MACs of tests. */
export function openStore({
  clock,
  monotonicClock,
  acknowledged,
  ...connections
}: Options): RedisStore & FleetSecretStore {
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
  });
}
