import { assertRecordable } from '@keyfleet/frontend/audit/sink';
import { AwsJsonEdge } from '@keyfleet/frontend/edge/aws-json-edge';
import { startGrpcEdge } from '@keyfleet/frontend/edge/grpc-edge';
import { type HttpLimits, httpLimits, type Readiness, startHttpEdge } from '@keyfleet/frontend/edge/http';
import { TrustedProxies } from '@keyfleet/frontend/edge/trusted-proxies';
import type { Call } from '@keyfleet/frontend/operations/handler';
import type { Attempt } from '@keyfleet/frontend/request/attempt';
import { Authenticator } from '@keyfleet/frontend/request/authenticate';
import { Credentials } from '@keyfleet/frontend/request/credentials';
import { Pipeline } from '@keyfleet/frontend/request/pipeline';
import { KmsException } from '@keyfleet/shared/errors/exceptions';
import { createLog } from '@keyfleet/shared/log';
import type { ServerCertificates } from '@keyfleet/shared/tls/accept-tls';
import { operationMeter } from '@keyfleet/shared/telemetry/meters';
import { newUser } from '@keyfleet/frontend/identities/iam-store.contract';
import type { Identity } from '@keyfleet/frontend/identities/identity';
import type { UserRecord } from '@keyfleet/frontend/identities/iam-records';
import { QueryEdge } from '@keyfleet/frontend/edge/query-edge';
import { getCallerIdentity } from '@keyfleet/frontend/identities/sts/callers';
import { assumeRoleWithWebIdentity } from '@keyfleet/frontend/identities/sts/web-identity';

export const alice = {
  accessKeyId: 'AKIAALICEALICEALICEA',
  secretAccessKey: 'alice+secret/0123456789012345678901234567',
  arn: 'arn:aws:iam::000000000000:user/alice',
} as const;

export interface Invocation {
  readonly operation: string;
  readonly input: object;
  readonly call: Call;
}

/** The record of a request that failed before it reached its operation. */
export interface Refusal {
  readonly operation: string;
  readonly caller: (Call['caller'] & { readonly region: string }) | undefined;
  readonly exception: KmsException | undefined;
}

function refusalOf({ name, call, exception }: Attempt): Refusal {
  return { operation: name, caller: call && { ...call.caller, region: call.region }, exception };
}

export interface EdgeOptions {
  readonly limits?: Partial<HttpLimits>;
  readonly requestTimeoutMs?: number;
  readonly readiness?: () => Readiness;
  readonly reflection?: boolean;
  readonly trustedProxies?: readonly string[];
  readonly isAuditFull?: () => boolean;
  readonly maxConnectionAgeMs?: number;
  /** Undefined: unencrypted. */
  readonly certificates?: ServerCertificates;
  /** Stands behind the edge; by default every operation answers with the least that its schema allows. */
  readonly invoke?: (invocation: Invocation) => Promise<unknown>;
}

/** The edges of a frontend over real sockets, with one known user and a fake of everything behind them. */
export async function startEdge(options: EdgeOptions = {}) {
  const invocations: Invocation[] = [];
  const refusals: Refusal[] = [];
  const clock = { now: Date.now };
  const log = createLog({ name: 'edge', level: 'silent' });
  const regions = new Set(['us-east-1', 'eu-west-1']);
  const credentials = new Credentials({
    identities: { ownerOf: () => identity, find: (() => undefined) as never },
    sessionTokens: { open: () => Promise.resolve(undefined) },
    partition: 'aws',
    accessKeys: {
      findAccessKey: (accessKeyId) => Promise.resolve(accessKeyId === alice.accessKeyId ? record : undefined),
    },
    extraMs: () => 0,
    openCredential: () => Promise.resolve({ secretAccessKey: Buffer.from(alice.secretAccessKey) }),
    events: { contradicted() {} },
    clock,
  });
  const pipeline = new Pipeline({
    authenticator: new Authenticator({ credentials, clock, clockSkewMs: 300_000 }),
    perform: async ({ name, operation, input = {}, call }) => {
      if (call === undefined || operation === undefined) return undefined;
      const invocation = { operation: name, input, call };
      invocations.push(invocation);
      return (options.invoke ?? answerByName)(invocation);
    },
    cached: { lastKnown: () => undefined },
    audit: {
      assertRecordable: () => assertRecordable({ isFull: options.isAuditFull?.() ?? false }),
      record(attempt) {
        if (attempt.input === undefined) refusals.push(refusalOf(attempt));
        return '';
      },
    },
    lastUsages: { note: () => undefined },
    rates: { charge: () => undefined },
    clock,
    requestTimeoutMs: options.requestTimeoutMs ?? 5_000,
    meter: operationMeter('keyfleet.requests'),
    onFault: () => undefined,
  });
  const kms = new AwsJsonEdge({ pipeline, regions });
  const query = new QueryEdge({
    pipeline,
    regions,
    operations: [getCallerIdentity, assumeRoleWithWebIdentity],
    perform: async ({ query: asked, call }) => (await asked?.run({ call } as never, {} as never)) ?? undefined,
  });
  const proxies = new TrustedProxies(options.trustedProxies ?? []);
  const http = await startHttpEdge({
    proxies,
    address: { host: '127.0.0.1', port: 0 },
    kms,
    query,
    pipeline,
    readiness: options.readiness ?? (() => ({})),
    log,
    drainMs: 1_000,
    maxConnectionAgeMs: options.maxConnectionAgeMs ?? 300_000,
    limits: { ...httpLimits, ...options.limits },
    certificates: options.certificates,
  });
  const grpc = await startGrpcEdge({
    proxies,
    pipeline,
    regions,
    readiness: options.readiness ?? (() => ({})),
    reflection: options.reflection ?? false,
    drainMs: 1_000,
    maxConnectionAgeMs: options.maxConnectionAgeMs ?? 300_000,
    address: { host: '127.0.0.1', port: 0 },
    certificates: options.certificates,
  });
  return {
    grpcAddress: `127.0.0.1:${grpc.port}`,
    endpoint: `http://127.0.0.1:${http.port}`,
    port: http.port,
    invocations,
    refusals,
    async [Symbol.asyncDispose]() {
      await Promise.all([http[Symbol.asyncDispose](), grpc[Symbol.asyncDispose]()]);
    },
  };
}

const identity: Identity<UserRecord> = {
  record: newUser('alice', { accountId: '000000000000', id: 'AIDAALICEALICEALICEA' }),
  policies: [],
  boundary: undefined,
  tags: new Map(),
};

const record = {
  accessKeyId: alice.accessKeyId,
  accountId: '000000000000',
  principal: alice.arn,
  userId: 'AIDAALICEALICEALICEA',
  token: new Uint8Array(),
  policies: [],
};

async function answerByName({ operation }: Invocation): Promise<unknown> {
  if (operation === 'ListKeys') return { Keys: [{ KeyId: 'k', KeyArn: 'arn:k' }], Truncated: false };
  if (operation === 'Encrypt') return { CiphertextBlob: Buffer.from('sealed'), KeyId: 'arn:k' };
  if (operation === 'DescribeKey') throw new KmsException('NotFoundException', "Key 'arn:k' does not exist");
  if (operation === 'Decrypt') throw new KmsException('InvalidCiphertextException', 'never shown');
  if (operation === 'GetPublicKey') throw new TypeError('a fault whose text is nobody’s business');
  return undefined;
}
