import { reportOf } from '@keyfleet/shared/grpc/peers';
import { randomBytes } from 'node:crypto';
import { monotonicClock } from '@keyfleet/shared/clock';
import { newKeyId } from '@keyfleet/shared/ids';
import { operationMeter, outcomeCounter } from '@keyfleet/shared/telemetry/meters';
import type { Assembly } from '../assembly.ts';
import { loadAttestations } from '../attestation/root-files.ts';
import type { AuditTrail } from '../audit/start-audit.ts';
import type { AccessKeyUses } from '../background/access-key-uses.ts';
import type { LastUsages } from '../background/last-usages.ts';
import { GrantTokens } from '../grants/grant-tokens.ts';
import type { HsmClient } from '../hsm/client.ts';
import type { DomainView } from '../hsm/domain-view.ts';
import { newPerformQuery, type PerformQuery } from '../identities/perform-query.ts';
import { SessionTokens } from '../identities/sts-session-token.ts';
import { WebIdentities } from '../identities/web-identities.ts';
import type { Users } from '../policy/users.ts';
import { Markers } from '../operations/markers.ts';
import { chargeCompiling } from '../identities/rates.ts';
import { Policies } from '../policy/policies.ts';
import type { RequestRates } from '../quotas/request-rates.ts';
import type { Stores } from '../store/start-store.ts';
import { PublicKeys } from '../keys/public-keys.ts';
import { ClusterKeys } from '../cloudhsm/cluster-keys.ts';
import { Clusters } from '../cloudhsm/clusters.ts';
import { SecondEncryptions } from '../key-stores/second-encryption.ts';
import { ExternalKeys } from '../xks/external-keys.ts';
import { XksHosts } from '../xks/hosts.ts';
import { XksProxies } from '../xks/proxies.ts';
import { Authenticator } from './authenticate.ts';
import { Credentials } from './credentials.ts';
import { newPerform, type Perform } from './perform.ts';
import { Pipeline, type PipelineDeps } from './pipeline.ts';

export interface RequestDeps {
  readonly domain: Pick<DomainView, 'onRemoval'>;
  readonly stores: Stores;
  readonly hsm: HsmClient;
  readonly audit: AuditTrail;
  readonly lastUsages: LastUsages;
  readonly accessKeyUses: AccessKeyUses;
}

/** What KMS operations share with those of IAM and STS. */
interface Common {
  readonly policies: Policies;
  readonly users: Users;
  readonly markers: Markers;
  readonly sessionTokens: SessionTokens;
  readonly rates: RequestRates;
}

/** The pipeline of signed requests, with what performs those of IAM and STS. */
export function newPipeline(
  assembly: Assembly,
  deps: RequestDeps,
): {
  readonly pipeline: Pipeline;
  /** The same pipeline for requests that are authenticated in another way. */
  readonly pipelineFor: (authenticator: PipelineDeps['authenticator']) => Pipeline;
  readonly performQuery: PerformQuery;
} {
  const { config, clock, events } = assembly;
  const { stores, hsm, audit, lastUsages, accessKeyUses } = deps;
  const { rates } = stores;
  const common = {
    policies: new Policies((accountId, pieces) => chargeCompiling(pieces, accountId, { rates })),
    users: stores.users,
    markers: new Markers(stores.fleet),
    sessionTokens: new SessionTokens(stores.fleet, randomBytes),
    rates,
  };
  const shared = {
    perform: newKmsPerform(assembly, deps, common),
    cached: stores.cached,
    audit: audit.requests,
    lastUsages,
    rates,
    clock,
    requestTimeoutMs: config.requestTimeout,
    meter: operationMeter('keyfleet.requests'),
    onFault: (fault: unknown, requestId: string) => events.requestFailed(fault, requestId),
  };
  const pipelineFor = (authenticator: PipelineDeps['authenticator']): Pipeline =>
    new Pipeline({ ...shared, authenticator });
  const { guard, records, iam, chargedIam: charged, accountVersions } = stores;
  const performQuery = newPerformQuery({
    ...common,
    webIdentities: new WebIdentities(config.oidcIssuers),
    iam,
    charged,
    accessKeys: records,
    accessKeyUses,
    accountVersions,
    hsm,
    clock,
    partition: config.partition,
    guard,
  });
  return { pipeline: pipelineFor(newAuthenticator(assembly, deps, common)), pipelineFor, performQuery };
}

function newAuthenticator(
  { config, clock, events }: Assembly,
  { domain, stores, hsm, accessKeyUses }: RequestDeps,
  { sessionTokens }: Common,
): Authenticator {
  const { records, identities, feed } = stores;
  const credentials = new Credentials({
    accessKeys: records,
    identities,
    sessionTokens,
    partition: config.partition,
    openCredential: (input, until, notBy) => hsm.openCredential(input, until, notBy),
    events,
    extraMs: () => (feed.servesLastKnown ? config.serveStale : 0),
    clock: monotonicClock,
  });
  domain.onRemoval(() => credentials.forgetSigningKeys());
  return new Authenticator({ credentials, uses: accessKeyUses, clock, clockSkewMs: config.clockSkew });
}

function newKmsPerform(
  { config, clock, log, resources }: Assembly,
  { domain, stores, hsm, audit, lastUsages }: RequestDeps,
  { policies, users, markers, rates }: Common,
): Perform {
  const { guard, cached, grants, keyStores } = stores;
  const { externalKeyStores } = config;
  const hosts = resources.use(
    new XksHosts(externalKeyStores.proxies, { timeoutMs: externalKeyStores.timeout, onProblem: reportOf(log) }),
  );
  const proxies = new XksProxies({ hosts, hsm, clock });
  domain.onRemoval(() => proxies.forgetSigningKeys());
  const publicKeys = new PublicKeys(hsm);
  domain.onRemoval(() => publicKeys.forget());
  const clusters = new Clusters({ hsm });
  return newPerform({
    keys: cached,
    aliases: cached,
    hsm,
    publicKeys,
    keyStores,
    proxies,
    clusters,
    secondEncryption: new SecondEncryptions({
      external: new ExternalKeys({ keyStores, proxies }),
      cluster: new ClusterKeys({ keyStores, clusters }),
    }),
    attestations: loadAttestations(config.attestationRootFiles),
    clock,
    newKeyId,
    developmentTags: config.developmentTags,
    partition: config.partition,
    regions: new Set(config.regions),
    policies,
    users,
    markers,
    lastUsages,
    serviceEvents: audit.serviceEvents,
    rates,
    keyQuota: config.keyQuota,
    grants,
    grantTokens: new GrantTokens(stores.fleet),
    cached,
    countStale: outcomeCounter('keyfleet.requests.stale'),
    guard,
  });
}
