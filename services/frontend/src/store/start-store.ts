import { monotonicClock } from '@keyfleet/shared/clock';
import { connectRedis, type RedisClient } from '@keyfleet/shared/redis/connect';
import { newServiceCheck } from '@keyfleet/shared/redis/durability';
import { DurabilityWatch } from '@keyfleet/shared/redis/durability-watch';
import { DurableWrites } from '@keyfleet/shared/redis/durable-writes';
import { observeRedis } from '@keyfleet/shared/redis/observe-redis';
import { StoreGuard } from '@keyfleet/shared/redis/store-guard';
import type { Assembly } from '../assembly.ts';
import { CachedGrants } from '../grants/cached-grants.ts';
import { RedisGrantStore } from '../grants/redis-grant-store.ts';
import type { HsmCommands } from '../hsm/commands.ts';
import type { DomainView } from '../hsm/domain-view.ts';
import { AccountVersions } from '../identities/account-versions.ts';
import { Identities } from '../identities/identities.ts';
import { chargedIam, RedisIamStore, type RedisIamStoreDeps } from '../identities/redis-iam-store.ts';
import { StoredUsers } from '../identities/stored-users.ts';
import { CachedKeyStores } from '../key-stores/cached-key-stores.ts';
import { RedisKeyStores } from '../key-stores/redis-key-stores.ts';
import { CHANGES } from '@keyfleet/shared/stored/names';
import { startRates } from '../quotas/redis-asked.ts';
import { Acknowledged } from './acknowledged.ts';
import { Announcements } from './announcements.ts';
import { CachedStore } from './cached-store.ts';
import { ChangeFeed } from './change-feed.ts';
import { Fleet } from './fleet.ts';
import { openRecordKeyFloor } from './record-key-floor.ts';
import { FleetRecordKeys } from './record-keys.ts';
import { RecordMacs } from './record-macs.ts';
import { RedisCalls } from './redis-calls.ts';
import { RedisFleetSecrets } from './redis-fleet-secrets.ts';
import { RedisStore } from './redis-store.ts';
import { StoredTokenCheck } from './stored-token-check.ts';

/** How long a command of `patient` may take. */
const PATIENCE_MS = 15_000;

export interface RedisConnections {
  readonly client: RedisClient;
  /** Apart from reads and the change feed, so that these never wait behind a replica. */
  readonly writer: RedisClient;
  /** For what goes over all names, of which somebody may have left a long one: no request waits behind it. */
  readonly patient: RedisClient;
  /** The durability of `writer`. */
  readonly durability: DurabilityWatch;
}

export function connectStore({ config, events, resources }: Assembly): RedisConnections {
  const onProblem = (problem: Error): void => events.storeProblem(problem);
  const connect = (timeout?: number) => resources.use(connectRedis(config.redis, { onProblem }, timeout));
  const [client, writer, patient] = [connect(), connect(), connect(PATIENCE_MS)];
  resources.use(observeRedis(client));
  const onRefused = (refusal: Error): void => events.storeRefused(refusal);
  const check = newServiceCheck(writer, config.redis);
  const durability = resources.use(new DurabilityWatch(writer, check, onRefused));
  return { client, writer, patient, durability };
}

export type Stores = Awaited<ReturnType<typeof startStore>>;

interface RecordKeepers {
  readonly domain: DomainView;
  /** Opens the keys shared by all frontends. */
  readonly hsm: HsmCommands;
}

/** The records in Redis, with recent reads cached in memory. */
export async function startStore(assembly: Assembly, connections: RedisConnections, { domain, hsm }: RecordKeepers) {
  const { config, clock, events, resources } = assembly;
  const { client, writer, durability } = connections;
  const floor = await openRecordKeyFloor({ dataDir: config.dataDir, domain: domain.name, storeId: () => guard.id });
  const writes = new DurableWrites(writer, () => durability.current());
  const onAccepted = (follows: readonly string[]): void => {
    recordKeys.forget(follows);
    fleet.forget();
    acknowledged.forget();
    cached.clear();
    iam.identities.clear();
    iam.users.clear();
    grants.forgetAll();
    keyStores.forgetAll();
  };
  const guard = startGuard(assembly, { connections, writes, domain, onAccepted });
  const beatsAreWrites = (): boolean => durability.replicas > 0;
  const feed = resources.use(new ChangeFeed(client, { serveStaleMs: config.serveStale, beatsAreWrites }));
  const calls = new RedisCalls({ client, writes, guard, feed });
  const secrets = new RedisFleetSecrets(calls);
  const onDropped = (oldest: number): void => acknowledged.droppedKeysBefore(oldest);
  const recordKeys = new FleetRecordKeys({ secrets, hsm, domain, clock, floor, onDropped });
  const macs = new RecordMacs(recordKeys);
  const acknowledged = new Acknowledged((id, revision) => announcements.send(id, revision));
  const announcements = new Announcements({
    macs,
    publish: (change) => calls.read((on) => on.publish(CHANGES, change)),
    heard: (id, revision, keyNumber) => acknowledged.heard(id, revision, keyNumber),
  });
  feed.listen(announcements);
  const records = new RedisStore({ calls, macs, clock, acknowledged, events });
  const grants = new CachedGrants(new RedisGrantStore({ calls, macs, monotonicClock, acknowledged, events }), feed);
  const cached = new CachedStore(records, feed, { maxKeyBytes: config.keyCache, grants });
  const keyStores = new CachedKeyStores(new RedisKeyStores({ calls, macs, monotonicClock, acknowledged }), feed);
  const iam = startIam(assembly, { calls, macs, acknowledged, records, feed });
  const fleet = new Fleet({ store: secrets, hsm, domain, clock, events });
  resources.use(fleet.startPuttingBack((problem) => events.fleetKeyProblem(problem)));
  return {
    guard,
    feed,
    fleet,
    macs,
    recordKeys,
    acknowledged,
    records,
    cached,
    calls,
    grants,
    keyStores,
    ...iam,
  };
}

interface ForIam extends RedisIamStoreDeps {
  readonly records: RedisStore;
  readonly feed: ChangeFeed;
}

/** Users, roles, groups and policies, and the rates that bound what is read of them. */
function startIam({ config, clock, events, resources }: Assembly, { records, feed, ...deps }: ForIam) {
  const rates = resources.use(startRates(config.requestQuotas, deps.calls, (problem) => events.ratesProblem(problem)));
  const accountVersions = new AccountVersions();
  feed.listen(accountVersions);
  const shared = () => ({
    charged: chargedIam(deps, rates),
    accessKeys: records,
    changes: feed,
    versions: accountVersions,
  });
  return {
    rates,
    iam: new RedisIamStore(deps),
    chargedIam: chargedIam(deps, rates),
    accountVersions,
    identities: new Identities({ ...shared(), clock }),
    users: new StoredUsers({ ...shared(), partition: config.partition }),
  };
}

interface Guarded {
  readonly connections: RedisConnections;
  readonly writes: DurableWrites;
  readonly domain: DomainView;
  /** Called when everything known of the previous store must be forgotten. */
  readonly onAccepted: (follows: readonly string[]) => void;
}

function startGuard(
  { config, clock, events, resources }: Assembly,
  { connections, writes, domain, onAccepted }: Guarded,
): StoreGuard {
  const tokens = new StoredTokenCheck(domain);
  return resources.use(
    new StoreGuard({
      domain: domain.name,
      clients: [connections.client, connections.writer, connections.patient],
      writes,
      clock,
      generation: () => domain.provenGeneration,
      findLost: (client, isFirst) => tokens.findLost(client, isFirst),
      operators: () => domain.state?.operators ?? [],
      keepsWrites: config.redis.durability === 'strict',
      onRefused: (problem) => events.storeRefused(problem),
      onAccepted(follows) {
        events.storeAccepted();
        onAccepted(follows);
      },
    }),
  );
}
