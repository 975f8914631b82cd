import { IAM } from '@aws-sdk/client-iam';
import { CreateGrantCommand, type GrantOperation } from '@aws-sdk/client-kms';
import { STS } from '@aws-sdk/client-sts';
import { kmsClient } from '@keyfleet/test-support/aws-client';
import type { TestCluster } from '@keyfleet/test-support/cluster';
import { Agent } from 'node:https';
import { UnsupportedError } from '../bench-error.ts';
import type { Signing } from '../wire/endpoint.ts';
import type { CallerKind } from './target-spec.ts';

const REGION = 'us-east-1';
const AT_ONCE = 8;
/** The IAM API has rates of its own. */
const ATTEMPTS = 20;

export interface Callers {
  readonly signings: readonly Signing[];
  /** Once the keys of an operation are known. Throws UnsupportedError where nothing can allow it so. */
  allow(operation: string, keys: readonly string[]): Promise<void>;
}

/** Makes so many of them through the IAM and STS APIs. */
export async function makeCallers(cluster: TestCluster, kind: CallerKind, count: number): Promise<Callers> {
  const { endpoint, credentials, ca } = cluster;
  const tls = ca === undefined ? {} : { requestHandler: { httpsAgent: new Agent({ ca }) } };
  const settings = { endpoint, credentials, region: REGION, maxAttempts: ATTEMPTS, ...tls };
  const [iam, sts] = [new IAM(settings), new STS(settings)];
  try {
    const { Account = '' } = await sts.getCallerIdentity({});
    const make = kind === 'role' ? await sessionsOf(iam, sts, Account) : (name: string) => newUser(iam, name, kind);
    const names = Array.from({ length: count }, (_, index) => `bench-${kind}-${index}`);
    const signings = await eachOf(names, make);
    const arns = names.map((name) => `arn:aws:iam::${Account}:user/${name}`);
    return { signings, allow: kind === 'grant' ? grantAll(cluster, arns) : () => Promise.resolve() };
  } finally {
    iam.destroy();
    sts.destroy();
  }
}

const everything = { Effect: 'Allow', Action: 'kms:*', Resource: '*' };
/** Of the kinds that policies have most; all are true for what scenarios send. */
const underConditions = [
  {
    ...everything,
    Condition: {
      StringLikeIfExists: { 'kms:EncryptionContext:purpose': ['benchmark*', 'test*'] },
      IpAddress: { 'aws:SourceIp': ['127.0.0.0/8', '10.0.0.0/8'] },
      StringEquals: { 'aws:RequestedRegion': REGION },
    },
  },
  { ...everything, Effect: 'Deny', Condition: { DateLessThan: { 'aws:CurrentTime': '2020-01-01T00:00:00Z' } } },
  {
    ...everything,
    Effect: 'Deny',
    Condition: { 'ForAnyValue:StringEquals': { 'kms:EncryptionContextKeys': 'never' } },
  },
];

function documentOf(...Statement: readonly object[]): string {
  return JSON.stringify({ Version: '2012-10-17', Statement });
}

async function newUser(iam: IAM, UserName: string, kind: CallerKind): Promise<Signing> {
  await iam.createUser({ UserName });
  if (kind !== 'grant') {
    const statements = kind === 'conditions' ? underConditions : [everything];
    await iam.putUserPolicy({ UserName, PolicyName: 'bench', PolicyDocument: documentOf(...statements) });
  }
  const { AccessKey } = await iam.createAccessKey({ UserName });
  return { region: REGION, accessKeyId: AccessKey!.AccessKeyId!, secretAccessKey: AccessKey!.SecretAccessKey! };
}

async function sessionsOf(iam: IAM, sts: STS, account: string): Promise<(name: string) => Promise<Signing>> {
  const RoleName = 'bench';
  const Principal = { AWS: `arn:aws:iam::${account}:root` };
  const trust = documentOf({ Effect: 'Allow', Principal, Action: 'sts:AssumeRole' });
  const { Role } = await iam.createRole({ RoleName, AssumeRolePolicyDocument: trust });
  await iam.putRolePolicy({ RoleName, PolicyName: 'bench', PolicyDocument: documentOf(everything) });
  return async (RoleSessionName) => {
    const { Credentials } = await sts.assumeRole({ RoleArn: Role!.Arn, RoleSessionName });
    const { AccessKeyId, SecretAccessKey, SessionToken } = Credentials!;
    return {
      region: REGION,
      accessKeyId: AccessKeyId!,
      secretAccessKey: SecretAccessKey!,
      sessionToken: SessionToken!,
    };
  };
}

/** The names of operations in grants, where they differ. */
const grantedAs: Readonly<Record<string, readonly GrantOperation[]>> = {
  ReEncrypt: ['ReEncryptFrom', 'ReEncryptTo'],
};

function grantAll(cluster: TestCluster, grantees: readonly string[]): Callers['allow'] {
  const granted = new Set<string>();
  return async (operation, keys) => {
    using kms = disposable(kmsClient(cluster, { maxAttempts: ATTEMPTS }));
    const Operations = [...(grantedAs[operation] ?? [operation as GrantOperation])];
    const wanted = keys.flatMap((KeyId) => grantees.map((GranteePrincipal) => ({ KeyId, GranteePrincipal })));
    const missing = wanted.filter(({ KeyId, GranteePrincipal }) => {
      const name = `${operation} ${KeyId} ${GranteePrincipal}`;
      return !granted.has(name) && granted.add(name);
    });
    await eachOf(missing, (grant) => kms.send(new CreateGrantCommand({ ...grant, Operations }))).catch(
      (cause: unknown) => {
        throw new UnsupportedError(`no grant allows ${operation}: ${(cause as Error).message}`);
      },
    );
  };
}

function disposable<T extends { destroy(): void }>(client: T): T & Disposable {
  return Object.assign(client, { [Symbol.dispose]: () => client.destroy() });
}

/** A few at a time, in order. */
async function eachOf<T, U>(all: readonly T[], make: (one: T) => Promise<U>): Promise<U[]> {
  const made: U[] = [];
  while (made.length < all.length) {
    made.push(...(await Promise.all(all.slice(made.length, made.length + AT_ONCE).map(make))));
  }
  return made;
}
