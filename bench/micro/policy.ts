// What one decision costs, with everything compiled: node bench/micro/policy.ts. CPU time, everything in the CPU's
// caches.
import { GenerateDataKey } from '@keyfleet/shared/api/data-keys';
import type { KmsKey } from '@keyfleet/frontend/keys/kms-key';
import { authorize } from '@keyfleet/frontend/policy/authorize';
import type { AccessRequest } from '@keyfleet/frontend/policy/evaluate';
import { defaultKeyPolicy } from '@keyfleet/frontend/policy/default-key-policy';
import { Policies } from '@keyfleet/frontend/policy/policies';
import { accessRequest, type Question, type Target } from '@keyfleet/frontend/request/access-request';
import { newUsualKey } from './usual-key.ts';

const DECISIONS = 200_000;
const BATCHES = 5;
const account = '111122223333';

const everything = JSON.stringify({ Statement: { Effect: 'Allow', Action: 'kms:*', Resource: '*' } });

const conditions = [
  { StringEquals: { 'kms:EncryptionContext:tenant': '${aws:PrincipalTag/tenant}' } },
  { 'ForAllValues:StringEquals': { 'kms:EncryptionContextKeys': ['tenant', 'purpose'] } },
  { StringLike: { 'kms:RequestAlias': 'alias/app/*' } },
  { IpAddress: { 'aws:SourceIp': ['10.0.0.0/8', '192.0.2.0/24', '2001:db8::/32'] } },
  { DateLessThan: { 'aws:CurrentTime': '2036-01-01T00:00:00Z' } },
  { Bool: { 'aws:SecureTransport': 'true' } },
  { ArnLike: { 'aws:PrincipalArn': 'arn:aws:iam::*:user/team/*' } },
  { StringEquals: { 'aws:ResourceTag/team': 'payments' } },
  { StringNotEquals: { 'aws:RequestedRegion': ['eu-west-1', 'eu-central-1'] } },
  { NumericLessThanIfExists: { 'aws:MultiFactorAuthAge': '3600' } },
];

/** Ten statements, none of which decides before the last. */
function policyOf(last: object): string {
  const statements = conditions.map((Condition, i) => ({
    Effect: i < conditions.length - 1 ? 'Deny' : 'Allow',
    Action: ['kms:GenerateDataKey*', 'kms:Decrypt'],
    Resource: '*',
    Condition: i < conditions.length - 1 ? { ...Condition, StringNotLike: { 'aws:UserAgent': 'bench*' } } : Condition,
    ...last,
  }));
  return JSON.stringify({ Version: '2012-10-17', Statement: statements });
}

function keyWith(policy: string): KmsKey {
  return { ...newUsualKey(), policy, tags: [{ TagKey: 'team', TagValue: 'payments' }], backingKeys: [] };
}

function question(policies: readonly string[]): Question {
  return {
    operation: GenerateDataKey,
    input: { KeyId: 'alias/app/1', KeySpec: 'AES_256', EncryptionContext: { tenant: 'acme', purpose: 'bench' } },
    call: {
      caller: {
        arn: `arn:aws:iam::${account}:user/team/alice`,
        accountId: account,
        userId: 'AIDAALICE',
        userName: 'alice',
        accessKeyId: 'AKIAALICE',
        policies,
        tags: new Map([['tenant', 'acme']]),
      },
      region: 'us-east-1',
      requestId: 'bench',
      sourceIpAddress: '192.0.2.1',
      isSecure: true,
      userAgent: 'bench/1',
      deadline: 0,
    },
  };
}

const deps = {
  policies: new Policies(),
  partition: 'aws',
  clock: { now: () => 1_795_000_000_000 },
  lastUsages: { find: () => Promise.reject(new Error('no policy asks for it')) },
  listAliases: () => Promise.reject(new Error('no policy asks for it')),
};

function microsecondsOf(asked: Question, key: KmsKey): number {
  const target: Target = { about: 'key', arn: key.arn, ownerId: account, key, requestAlias: 'alias/app/1' };
  let best = Number.POSITIVE_INFINITY;
  for (let batch = 0; batch < BATCHES; batch++) {
    const before = process.cpuUsage();
    for (let i = 0; i < DECISIONS; i++) {
      authorize(accessRequest(asked, 'kms:GenerateDataKey', { target, deps }) as AccessRequest);
    }
    const { user, system } = process.cpuUsage(before);
    best = Math.min(best, (user + system) / DECISIONS);
  }
  return best;
}

const byDefault = keyWith(defaultKeyPolicy('aws', account));
const conditional = policyOf({ Principal: { AWS: `arn:aws:iam::${account}:user/team/alice` } }).replace(
  '"aws:ResourceTag/team"',
  '"aws:PrincipalTag/tenant"',
);
for (const [name, asked, key] of [
  ['the default key policy', question([everything]), byDefault],
  ['ten statements with conditions in the key policy', question([everything]), keyWith(conditional)],
  ['ten statements with conditions in an identity policy', question([policyOf({})]), byDefault],
] as const) {
  process.stdout.write(`${name}: ${microsecondsOf(asked, key).toFixed(2)} us\n`);
}
