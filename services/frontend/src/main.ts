import { randomBytes } from 'node:crypto';
import { type Clock, monotonicClock, systemClock } from '@keyfleet/shared/clock';
import type { TrustAnchor } from '@keyfleet/shared/domain/trust-anchor';
import { newKeyId } from '@keyfleet/shared/ids';
import { type Notices, startNotices } from '@keyfleet/shared/notices';
import { connectRedis, type RedisClient } from '@keyfleet/shared/redis/connect';
import { DurabilityWatch } from '@keyfleet/shared/redis/durability-watch';
import { DurableWrites } from '@keyfleet/shared/redis/durable-writes';
import { StoreGuard } from '@keyfleet/shared/redis/store-guard';
import { runService, type ServiceContext } from '@keyfleet/shared/service';
import { operationMeter, outcomeCounter } from '@keyfleet/shared/telemetry/meters';
import { loadTrustAnchor } from '@keyfleet/shared/trust-anchor-file';
import { growthTrouble, logBytes } from './audit/growing-files.ts';
import { Audit } from './audit/record.ts';
import { ServiceEvents } from './audit/service-events.ts';
import { type AuditFile, noAudit, openFileSink } from './audit/sink.ts';
import { CredentialsFile } from './background/credentials-file.ts';
import { startDueWorker } from './background/due.ts';
import { type ProvisionDeps, Provisioning } from './background/first-administrator.ts';
import { LastUsages } from './background/last-usages.ts';
import { RedisSealedRecords } from './background/redis-sealed-records.ts';
import { RedisParts } from './background/reseal-parts.ts';
import { startResealer } from './background/reseal.ts';
import { StoredUsers } from './identities/stored-users.ts';
import { newPerformQuery } from './identities/perform-query.ts';
import { Identities } from './identities/identities.ts';
import { RedisIamStore } from './identities/redis-iam-store.ts';
import { SessionTokens } from './identities/session-token.ts';
import { WebIdentities } from './identities/web-identities.ts';
import { FrontendConfig } from './config.ts';
import type { Readiness } from './edge/http.ts';
import { startEdges } from './edge/start-edges.ts';
import { FrontendEvents } from './events.ts';
import { HsmClient } from './hsm/client.ts';
import { type DomainFloor, openDomainFloor } from './hsm/domain-floor.ts';
import { DomainView } from './hsm/domain-view.ts';
import { CachedGrants } from './grants/cached-grants.ts';
import { GrantTokens } from './grants/grant-tokens.ts';
import { RedisGrantStore } from './grants/redis-grant-store.ts';
import { loadHostIdentity } from './hsm/host-key-file.ts';
import { WorkerPool } from './hsm/pool.ts';
import type { HostIdentity } from './hsm/session.ts';
import { newWorkerClient } from './hsm/worker-client.ts';
import { Markers } from './operations/markers.ts';
import { Policies } from './policy/policies.ts';
import { startRates } from './quotas/rates.ts';
import { Authenticator } from './request/authenticate.ts';
import { Credentials } from './request/credentials.ts';
import { newPerform } from './request/perform.ts';
import { Pipeline } from './request/pipeline.ts';
import { CachedStore } from './store/cached-store.ts';
import { ChangeFeed } from './store/change-feed.ts';
import { RecordWrites } from './store/record-writes.ts';
import { RedisCalls } from './store/redis-calls.ts';
import { RedisStore } from './store/redis-store.ts';
import { waitWithProbes } from './store/wait-for-redis.ts';

await runService({ name: 'frontend', config: FrontendConfig, run });

/** Everything connects in the background, in any order; `/readyz` says what is still missing. */
async function run(config: FrontendConfig, { log, signal, stopped }: ServiceContext): Promise<void> {
  // Disposed in reverse: the edges drain first, while everything that their last requests need is still there.
  await using resources = new AsyncDisposableStack();
  const clock = systemClock;
  const events = new FrontendEvents(log);
  const anchor = loadTrustAnchor(config.trustAnchorFile);
  const host = loadHostIdentity(config.hostKey);
  const auditSink = resources.use(await auditSinkOf(config, events));
  const audit = new Audit(auditSink, clock);
  const serviceEvents = new ServiceEvents(auditSink, clock);
  const { client, writer, durability } = connectStore(config, resources, events);
  if (!(await waitWithProbes(client, { config, durability, signal, log }))) return;
  const writes = new DurableWrites(writer, () => durability.current());
  const notices = resources.use(
    startNotices({
      nats: config.nats,
      name: config.hostKey.operatorId,
      onProblem: (problem) => events.noticesProblem(problem),
    }),
  );
  const floor = await openDomainFloor(config.dataDir, anchor.domain);
  const domain = resources.use(startDomainView(config, { anchor, floor, notices, events }));
  const guard = resources.use(
    new StoreGuard({
      domain: anchor.domain,
      clients: [client, writer],
      writes,
      generation: () => domain.state?.generation ?? 0,
      keepsWrites: config.redis.durability === 'strict',
      onRefused: (problem) => events.storeRefused(problem),
      onAccepted() {
        events.storeAccepted();
        store.forgetAcknowledged();
        cached.clear();
        identities.clear();
        grants.forgetAll();
      },
    }),
  );
  const beatsAreWrites = (): boolean => durability.replicas > 0;
  const feed = resources.use(new ChangeFeed(client, { serveStaleMs: config.serveStale, beatsAreWrites }));
  const store = new RedisStore({ client, writes, guard, feed, clock });
  const cached = new CachedStore(store, feed, config.keyCache);
  const calls = new RedisCalls({ client, writes, guard, feed });
  const grants = new CachedGrants(new RedisGrantStore(calls, monotonicClock), feed);
  const iam = new RedisIamStore(calls);
  const identities = new Identities({ store: iam, changes: feed, clock });
  const lastUsages = resources.use(
    new LastUsages({ usages: store, clock, onProblem: (problem) => events.lastUsageProblem(problem) }),
  );
  const pool = resources.use(startPool(config, { domain, host, clock, events }));
  const hsm = new HsmClient({
    hsm: pool,
    domainState: () => domain.state,
    refreshDomain: () => domain.refresh(),
    clock,
    workers: config.hsmWorkers.length,
    events,
  });
  const administrator = startProvisioning(config, resources, {
    identities: store,
    generateCredential: (input) => hsm.execute('GenerateCredential', input, clock.now() + config.requestTimeout),
    log,
  });

  resources.use(
    startResealer({
      parts: new RedisParts(client, anchor.domain),
      records: new RedisSealedRecords({ calls, keys: new RecordWrites(calls, clock) }),
      hsm,
      domainState: () => domain.state,
      clock,
      notices,
      onLeft: (name, error) => events.notResealed(name, error),
      onProblem: (problem) => events.resealProblem(problem),
    }),
  );
  resources.use(
    startDueWorker({
      store,
      grants,
      hsm,
      clock,
      serviceEvents,
      notices,
      onLeft: ({ region, keyId }, error) => events.dueWorkLeft(`${region}/${keyId}`, error),
      onProblem: (problem) => events.dueWorkProblem(problem),
    }),
  );

  const policies = new Policies();
  const markers = new Markers({ secrets: store, hsm });
  const sessionTokens = new SessionTokens({ secrets: store, hsm, random: randomBytes });
  const rates = resources.use(startRates(config.requestQuotas, calls, (problem) => events.ratesProblem(problem)));
  const perform = newPerform({
    keys: cached,
    aliases: cached,
    hsm,
    clock,
    newKeyId,
    partition: config.partition,
    policies,
    users: new StoredUsers({ iam, accessKeys: store, partition: config.partition }),
    markers,
    lastUsages,
    serviceEvents,
    rates,
    keyQuota: config.keyQuota,
    grants,
    grantTokens: new GrantTokens({ secrets: store, hsm }),
    lastKnown: () => cached.lastKnown(grants),
    countStale: outcomeCounter('keyfleet.requests.stale'),
    assertStore: () => guard.assertFit(),
    forgetKey: (key) => cached.forget(key),
  });
  const performQuery = newPerformQuery({
    webIdentities: new WebIdentities(config.oidcIssuers),
    iam,
    accessKeys: store,
    identities,
    sessionTokens,
    hsm,
    markers,
    policies,
    clock,
    partition: config.partition,
    assertStore: () => guard.assertFit(),
  });
  const credentials = new Credentials({
    accessKeys: store,
    identities,
    sessionTokens,
    partition: config.partition,
    openCredential: (input, until) => hsm.execute('OpenCredential', input, until),
    extraMs: () => (feed.servesLastKnown ? config.serveStale : 0),
    clock: monotonicClock,
  });
  const pipeline = new Pipeline({
    authenticator: new Authenticator({ credentials, clock, clockSkewMs: config.clockSkew }),
    perform,
    audit,
    lastUsages,
    clock,
    requestTimeoutMs: config.requestTimeout,
    meter: operationMeter('keyfleet.requests'),
    onFault: (fault, requestId) => events.requestFailed(fault, requestId),
  });
  const readiness = () => readinessOf({ domain, pool, client, durability, guard, feed, auditSink, administrator });
  resources.use(await startEdges(config, { pipeline, performQuery, readiness, log }));
  log.info({ http: config.http.text, grpc: config.grpc.text }, 'listening');
  await stopped;
}

/** Writes go over a connection of their own: reads and the change feed wait behind no replica. */
function connectStore(config: FrontendConfig, resources: AsyncDisposableStack, events: FrontendEvents) {
  const connect = () =>
    resources.use(connectRedis(config.redis, { onProblem: (problem) => events.storeProblem(problem) }));
  const [client, writer] = [connect(), connect()];
  const onRefused = (refusal: Error): void => events.storeRefused(refusal);
  const durability = resources.use(new DurabilityWatch(writer, config.redis.durability, onRefused));
  return { client, writer, durability };
}

function auditSinkOf({ auditFile }: FrontendConfig, events: FrontendEvents) {
  if (auditFile === undefined) return noAudit;
  return openFileSink({ path: auditFile, onProblem: (problem) => events.auditProblem(problem) });
}

interface DomainParts {
  readonly anchor: TrustAnchor;
  readonly floor: DomainFloor;
  readonly notices: Notices;
  readonly events: FrontendEvents;
}

function startDomainView(config: FrontendConfig, { anchor, floor, notices, events }: DomainParts): DomainView {
  return new DomainView({
    anchor,
    floor,
    domainManagers: config.domainManagers.map(({ text }) => text),
    notices,
    onProblem: (address, error) => events.domainManagerProblem(address, error),
  });
}

interface PoolParts {
  readonly domain: DomainView;
  readonly host: HostIdentity;
  readonly clock: Clock;
  readonly events: FrontendEvents;
}

function startPool(config: FrontendConfig, { domain, host, clock, events }: PoolParts): WorkerPool {
  return new WorkerPool({
    workers: config.hsmWorkers.map(({ text }) => newWorkerClient(text)),
    host,
    domain,
    clock,
    maxInFlight: config.maxInFlight,
    onProblem: (address, error) => events.workerProblem(address, error),
  });
}

function startProvisioning(
  { firstAdministrator, partition }: FrontendConfig,
  resources: AsyncDisposableStack,
  deps: Omit<ProvisionDeps, 'file'>,
): Provisioning | undefined {
  if (firstAdministrator === undefined) return undefined;
  const file = new CredentialsFile(firstAdministrator.credentialsFile);
  return resources.use(new Provisioning({ ...firstAdministrator, partition }, { ...deps, file }));
}

interface ReadinessParts {
  readonly domain: DomainView;
  readonly pool: WorkerPool;
  readonly client: RedisClient;
  readonly durability: DurabilityWatch;
  readonly guard: StoreGuard;
  readonly feed: ChangeFeed;
  readonly auditSink: AuditFile;
  readonly administrator: Provisioning | undefined;
}

function readinessOf(parts: ReadinessParts): Readiness {
  const { domain, pool, client, durability, guard, feed, auditSink, administrator } = parts;
  const { problem, state } = domain;
  return {
    domain: problem === undefined ? { ok: true, detail: `generation ${state?.generation}` } : missing(problem),
    hsmWorkers:
      pool.ready === 0 ? missing('no session with any hsm-worker yet') : { ok: true, detail: `${pool.ready} in use` },
    redis: redisReadiness(client, feed, durability.refusal ?? guard.problem),
    auditFile: auditReadiness(auditSink),
    log: withTrouble(growthTrouble('what it logs', logBytes())),
    ...(administrator && { firstAdministrator: administrator.done ? { ok: true } : missing('not made yet') }),
  };
}

function auditReadiness({ isFull, fileBytes }: AuditFile) {
  if (isFull) return missing('records wait for their disk; nothing is done that could not be recorded');
  return withTrouble(growthTrouble('its audit file', fileBytes));
}

function withTrouble(trouble: string | undefined) {
  return { ok: true, ...(trouble !== undefined && { trouble }) };
}

function redisReadiness(client: RedisClient, feed: ChangeFeed, refusal: string | undefined) {
  if (refusal === undefined && feed.servesLastKnown) return { ok: true, detail: 'away; keys in memory are served' };
  if (client.status !== 'ready') return missing(`not connected (${client.status})`);
  return refusal === undefined ? { ok: true } : missing(refusal);
}

function missing(detail: string) {
  return { ok: false, detail };
}
