import { requestCodec } from '@keyfleet/shared/api/aws-json';
import type { InputOf, Operation, OutputOf } from '@keyfleet/shared/api/operation';
import { compileInputCheck } from '@keyfleet/shared/api/input-check';
import { type ExceptionCode, KmsException } from '@keyfleet/shared/errors/exceptions';
import { newKeyId } from '@keyfleet/shared/ids';
import { Audit, type AuditRecord } from '@keyfleet/frontend/audit/record';
import { Attestations } from '@keyfleet/frontend/attestation/attestations';
import { type ServiceEvent, ServiceEvents } from '@keyfleet/frontend/audit/service-events';
import type { HsmCommands } from '@keyfleet/frontend/hsm/commands';
import { newPerform } from '@keyfleet/frontend/request/perform';
import { Pipeline } from '@keyfleet/frontend/request/pipeline';
import { operationMeter } from '@keyfleet/shared/telemetry/meters';
import type { Call, Caller } from '@keyfleet/frontend/operations/handler';
import type { RateClass } from '@keyfleet/frontend/quotas/rates';
import type { Charged, RequestRates } from '@keyfleet/frontend/quotas/request-rates';
import type { GrantStore } from '@keyfleet/frontend/grants/grant-store';
import { GrantTokens } from '@keyfleet/frontend/grants/grant-tokens';
import { MemoryGrantStore } from '@keyfleet/frontend/grants/memory-grant-store';
import type { GrantedKey } from '@keyfleet/shared/stored/grants';
import type { KeyStoreStore } from '@keyfleet/frontend/key-stores/key-store';
import { MemoryKeyStores } from '@keyfleet/frontend/key-stores/memory-key-stores';
import { ClusterKeys } from '@keyfleet/frontend/cloudhsm/cluster-keys';
import { Clusters } from '@keyfleet/frontend/cloudhsm/clusters';
import { SecondEncryptions } from '@keyfleet/frontend/key-stores/second-encryption';
import { ExternalKeys } from '@keyfleet/frontend/xks/external-keys';
import type { XksAnswer, XksCall } from '@keyfleet/frontend/xks/hosts';
import { XksError } from '@keyfleet/frontend/xks/problems';
import { XksProxies } from '@keyfleet/frontend/xks/proxies';
import { PublicKeys } from '@keyfleet/frontend/keys/public-keys';
import { Markers } from '@keyfleet/frontend/operations/markers';
import { Policies } from '@keyfleet/frontend/policy/policies';
import { Fleet } from '@keyfleet/frontend/store/fleet';
import { MemoryFleetSecrets } from '@keyfleet/frontend/store/memory-fleet-secrets';
import { MemoryStore } from '@keyfleet/frontend/store/memory-store';
import { LastUsages } from '@keyfleet/frontend/background/last-usages';
import { FakeDomain } from './fake-domain.ts';
import { FakeHsm } from './fake-hsm.ts';

export const accountId = '111122223333';
export const region = 'us-east-1';
/** The Regions that it serves. */
export const regions = [region, 'eu-west-1', 'ap-south-1'];

/** A policy with these statements, each of which allows all of KMS unless it says otherwise. */
export function policyOf(...statements: object[]): string {
  const whole = statements.map((statement) => ({ Effect: 'Allow', Action: 'kms:*', Resource: '*', ...statement }));
  return JSON.stringify({ Version: '2012-10-17', Statement: whole });
}

const allowKms = policyOf({});

/** A user of the account who may do everything, or what `policies` allow. */
export function user(name: string, overrides: Partial<Caller> = {}): Caller {
  const account = overrides.accountId ?? accountId;
  return {
    accountId: account,
    arn: `arn:aws:iam::${account}:user/${name}`,
    userId: `AIDA${name.toUpperCase()}`,
    accessKeyId: `AKIA${name.toUpperCase()}`,
    policies: [allowKms],
    ...overrides,
  };
}

/** Of a request: who made it and where. */
type Overrides = Partial<Pick<Call, 'caller' | 'region' | 'requestId'>>;

/** Everything of a frontend that stands behind its edges, on a store in memory and a fake HSM. */
export class FakeFrontend<H extends HsmCommands = FakeHsm> {
  readonly store = new MemoryStore();
  readonly grants: GrantStore;
  readonly keyStores: KeyStoreStore;
  readonly proxies: XksProxies;
  readonly clusters: Clusters;
  /** Stands for the proxies of external key stores. */
  answerOfProxy: (call: XksCall) => Promise<XksAnswer> = () => Promise.reject(new XksError('unreachable'));
  /** Trusts no root, unless a test gives it one. */
  attestations = new Attestations([]);
  readonly keyQuota = 100;
  /** Called for each request. */
  charge: (rateClass: RateClass, of: Charged) => void = () => {};
  /** What compiling policies is charged to. */
  compiling: (accountId: string, pieces: number) => void = () => undefined;
  readonly rates: Pick<RequestRates, 'charge'> = { charge: (of, rateClass) => this.charge(rateClass, of) };
  /** A user's unique id, as `user` makes it. */
  idOf: (arn: string) => string | undefined = (arn) => {
    const [, name = 'nobody'] = /:user\/(.+)$/.exec(arn) ?? [];
    return name === 'nobody' ? undefined : user(name).userId;
  };
  readonly hsm: H;
  readonly audit: AuditRecord[] = [];
  /** The service's records of its own actions. */
  readonly serviceEvents: ServiceEvent[] = [];
  readonly faults: unknown[] = [];
  readonly lastUsages: LastUsages;
  now = Date.UTC(2026, 10, 23, 12);
  readonly #pipeline: Pipeline;
  #caller = user('alice');
  #region = region;

  constructor(hsm?: H, { developmentTags = false } = {}) {
    this.hsm = hsm ?? (new FakeHsm() as HsmCommands as H);
    const { store, faults } = this;
    const exists = async ({ region, keyId }: GrantedKey) => (await store.findKey(region, keyId)) !== undefined;
    this.grants = new MemoryGrantStore(exists);
    const clock = { now: () => this.now };
    this.store.clock = clock;
    this.keyStores = new MemoryKeyStores((of, keyId) => exists({ region: of, keyId }));
    const hosts = { call: (call: XksCall) => this.answerOfProxy(call) };
    this.proxies = new XksProxies({ hosts, hsm: this.hsm, clock });
    this.lastUsages = new LastUsages({ usages: store, clock, onProblem: (problem) => void faults.push(problem) });
    const events = { fleetKeyDropped: (foreign: Error) => void faults.push(foreign) };
    const fleet = new Fleet({
      store: new MemoryFleetSecrets(),
      hsm: this.hsm,
      domain: new FakeDomain(),
      clock,
      events,
    });
    const clusters = new Clusters({ hsm: this.hsm, clock });
    this.clusters = clusters;
    const perform = newPerform({
      keys: store,
      aliases: store,
      hsm: this.hsm,
      publicKeys: new PublicKeys(this.hsm),
      keyStores: this.keyStores,
      proxies: this.proxies,
      clusters,
      secondEncryption: new SecondEncryptions({
        external: new ExternalKeys({ keyStores: this.keyStores, proxies: this.proxies }),
        cluster: new ClusterKeys({ keyStores: this.keyStores, clusters }),
      }),
      attestations: { verify: (document, now) => this.attestations.verify(document, now) },
      clock,
      newKeyId,
      developmentTags,
      partition: 'aws',
      regions: new Set(regions),
      policies: new Policies((of, pieces) => this.compiling(of, pieces)),
      users: { idOf: (arn) => Promise.resolve(this.idOf(arn)) },
      markers: new Markers(fleet),
      rates: this.rates,
      keyQuota: this.keyQuota,
      grants: this.grants,
      grantTokens: new GrantTokens(fleet),
      lastUsages: this.lastUsages,
      serviceEvents: new ServiceEvents(
        {
          isFull: false,
          write: (record) => void this.serviceEvents.push(JSON.parse(record) as ServiceEvent),
          settled: () => Promise.resolve(),
        },
        clock,
      ),
      cached: { forget: () => {} },
      countStale: () => {},
      guard: { assertFit: () => {} },
    });
    this.#pipeline = new Pipeline({
      // Any caller that a test names.
      authenticator: {
        authenticate: () => ({ caller: this.#caller, region: this.#region }),
        namesKey: () => true,
      },
      perform,
      cached: { lastKnown: () => undefined },
      audit: new Audit(
        { isFull: false, write: (record) => void this.audit.push(JSON.parse(record) as AuditRecord) },
        clock,
      ),
      lastUsages: this.lastUsages,
      rates: this.rates,
      clock,
      requestTimeoutMs: 5_000,
      meter: operationMeter('keyfleet.requests'),
      onFault: (fault) => void faults.push(fault),
    });
  }

  /** Fills in the schema's defaults and validates, as the edge does. */
  async call<O extends Operation>(operation: O, input: object, overrides: Overrides = {}): Promise<OutputOf<O>> {
    const parsed = operation.input.safeParse(input);
    compileInputCheck(operation)(parsed.success ? parsed.data : input);
    return this.#call(operation, operation.input.parse(input) as InputOf<O>, overrides);
  }

  /** Whether a caller is allowed. Throws on any other refusal. */
  async may(operation: Operation, input: object, as: Overrides = {}): Promise<boolean> {
    try {
      await this.call(operation, input, as);
      return true;
    } catch (error) {
      if (/is not authorized to perform/.test(String(error))) return false;
      throw error;
    }
  }

  /** From the request's JSON on, as a client sent it. */
  callJson<O extends Operation>(operation: O, json: string): Promise<OutputOf<O>> {
    return this.#call(operation, requestCodec(operation).parse(Buffer.from(json)), {});
  }

  /** Without validation. */
  raw(operation: Operation, input: object): Promise<unknown> {
    return this.#call(operation, input as InputOf<Operation>, {});
  }

  #call<O extends Operation>(operation: O, input: InputOf<O>, overrides: Overrides): Promise<OutputOf<O>> {
    // Authentication comes first.
    this.#caller = overrides.caller ?? user('alice');
    this.#region = overrides.region ?? region;
    const request = {
      method: 'POST',
      path: '/',
      query: '',
      headers: new Map([['user-agent', 'test']]),
      payloadHash: '',
      requestId: overrides.requestId ?? 'request-1',
      sourceIpAddress: '192.0.2.1',
      isSecure: true,
      onGenuine: () => {},
    };
    return this.#pipeline.process(request, {
      service: 'kms',
      name: operation.name,
      operation,
      signedFor: { service: 'kms', regions: new Set([this.#region]) },
      parse: () => withOwnBytes(input),
      format: (output) => withOwnBytes(output as OutputOf<O>),
    });
  }

  /** The exception that the call ends with, as `Code: message`. */
  async refusal<O extends Operation>(operation: O, input: object, overrides: Overrides = {}): Promise<string> {
    try {
      await this.call(operation, input, overrides);
    } catch (error) {
      if (error instanceof KmsException) return refusalText(error.code, error.message);
      throw error;
    }
    throw new Error(`${operation.name} was not refused`);
  }

  get lastAudit(): AuditRecord {
    const record = this.audit.at(-1);
    if (!record) throw new Error('nothing was audited');
    return record;
  }
}

function refusalText(code: ExceptionCode, message: string): string {
  return message === '' ? code : `${code}: ${message}`;
}

/** Read and written as every edge does: the pipeline overwrites its input. */
function withOwnBytes<T>(values: T): T {
  if (typeof values !== 'object' || values === null) return values;
  return Object.fromEntries(Object.entries(values).map(([name, value]) => [name, ownBytes(value)])) as T;
}

function ownBytes(value: unknown): unknown {
  if (value instanceof Buffer) return Buffer.from(value);
  return value instanceof Uint8Array ? value.slice() : value;
}
