import { readRestoredAt } from '@keyfleet/shared/redis/store-restored';
import type { Notices } from '@keyfleet/shared/notices';
import type { Assembly } from '../assembly.ts';
import type { AuditTrail } from '../audit/start-audit.ts';
import type { HsmClient } from '../hsm/client.ts';
import type { DomainView } from '../hsm/domain-view.ts';
import { Clusters } from '../cloudhsm/clusters.ts';
import { RecordWrites } from '../store/record-writes.ts';
import type { RedisConnections, Stores } from '../store/start-store.ts';
import { AccessKeyUses } from './access-key-uses.ts';
import { CredentialsFile } from './credentials-file.ts';
import { startDueWorker } from './due.ts';
import { Provisioning } from './first-administrator.ts';
import { LastUsages } from './last-usages.ts';
import { RedisSealedRecords } from './redis-sealed-records.ts';
import { RedisParts } from './reseal-parts.ts';
import { startResealer } from './resealer.ts';

export interface BackgroundDeps {
  readonly connections: RedisConnections;
  readonly stores: Stores;
  readonly domain: DomainView;
  readonly hsm: HsmClient;
  readonly notices: Notices;
  readonly audit: AuditTrail;
}

export interface Background {
  readonly lastUsages: LastUsages;
  readonly accessKeyUses: AccessKeyUses;
  /** Undefined if none is configured. */
  readonly administrator: Provisioning | undefined;
}

/** The work that runs beside requests. */
export function startBackground(assembly: Assembly, deps: BackgroundDeps): Background {
  const { config, clock, events, resources } = assembly;
  const { stores, domain, hsm, notices, audit } = deps;
  const onProblem = (problem: unknown): void => events.lastUsageProblem(problem);
  const lastUsages = resources.use(new LastUsages({ usages: stores.records, clock, onProblem }));
  const accessKeyUses = resources.use(new AccessKeyUses({ uses: stores.records, clock, onProblem }));
  const administrator = startProvisioning(assembly, deps);
  startResealing(assembly, deps);
  resources.use(
    startDueWorker({
      store: stores.records,
      grants: stores.grants,
      hsm,
      keyStores: stores.keyStores,
      clusters: new Clusters({ hsm }),
      clock,
      serviceEvents: audit.serviceEvents,
      regions: config.regions,
      restoredAt: () => stores.calls.read((client) => readRestoredAt(client, domain.name)),
      notices,
      onPutOff: ({ region, keyId }, date) => events.deletionPutOff(`${region}/${keyId}`, date),
      onLeft: ({ region, keyId }, error) => events.dueWorkLeft(`${region}/${keyId}`, error),
      onProblem: (problem) => events.dueWorkProblem(problem),
    }),
  );
  return { lastUsages, accessKeyUses, administrator };
}

function startProvisioning(
  { config, clock, log, resources }: Assembly,
  { stores, hsm }: BackgroundDeps,
): Provisioning | undefined {
  const { firstAdministrator, partition, requestTimeout } = config;
  if (firstAdministrator === undefined) return undefined;
  return resources.use(
    new Provisioning(
      { ...firstAdministrator, partition },
      {
        identities: stores.records,
        generateCredential: (input) => hsm.execute('GenerateCredential', input, clock.now() + requestTimeout),
        file: new CredentialsFile(firstAdministrator.credentialsFile),
        log,
      },
    ),
  );
}

function startResealing(
  { clock, events, resources }: Assembly,
  { connections, stores, domain, hsm, notices }: BackgroundDeps,
): void {
  const { macs, recordKeys, acknowledged } = stores;
  const calls = stores.calls.readingBy(connections.patient);
  const keys = new RecordWrites(calls, clock);
  const domainState = () => domain.state;
  resources.use(
    startResealer({
      parts: new RedisParts(connections.patient, domain.name),
      records: new RedisSealedRecords({ calls, macs, keys, acknowledged, recordKeys, domainState }),
      hsm,
      domainState,
      clock,
      notices,
      onLeft: (name, error) => events.notResealed(name, error),
      onProblem: (problem) => events.resealProblem(problem),
    }),
  );
}
