import { expect, test } from 'vitest';
import { chargeCompiling } from '../identities/rates.ts';
import { awsRates, RequestRates } from '../quotas/request-rates.ts';
import { Policies } from './policies.ts';

const accountId = '111122223333';
/** A key policy of so many patterns; `id` makes it another one. */
function policyOf(patterns: number, id: number): string {
  const listed = Array.from({ length: patterns }, (_, i) => `arn:*:*:*:*:*${i}*`);
  const Condition = { ArnLike: { 'aws:PrincipalArn': listed } };
  const Statement = { Effect: 'Deny', Principal: '*', Action: 'kms:*', Resource: '*', Condition };
  return JSON.stringify({ Version: '2012-10-17', Id: `${id}`, Statement });
}

/** As AWS's console makes it, with two users (KMS Developer Guide, "Default key policy"). */
function consolePolicyOf(id: number): string {
  const arn = (name: string) => `arn:aws:iam::${accountId}:${name}`;
  const users = { AWS: ['reads', 'writes'].map((name) => arn(`role/tenant-${id}-${name}`)) };
  const allow = (Principal: object, Action: string | string[]) => ({
    Effect: 'Allow',
    Principal,
    Action,
    Resource: '*',
  });
  const administration = [
    ...['Create', 'Describe', 'Enable', 'List', 'Put', 'Update', 'Revoke', 'Disable', 'Get', 'Delete'].map(
      (verb) => `kms:${verb}*`,
    ),
    ...['TagResource', 'UntagResource', 'ScheduleKeyDeletion', 'CancelKeyDeletion', 'RotateKeyOnDemand'].map(
      (name) => `kms:${name}`,
    ),
  ];
  const use = ['kms:Encrypt', 'kms:Decrypt', 'kms:ReEncrypt*', 'kms:GenerateDataKey*', 'kms:DescribeKey'];
  const attachments = allow(users, ['kms:CreateGrant', 'kms:ListGrants', 'kms:RevokeGrant']);
  return JSON.stringify({
    Version: '2012-10-17',
    Id: 'key-consolepolicy-3',
    Statement: [
      allow({ AWS: arn('root') }, 'kms:*'),
      allow({ AWS: ['role/admin', 'user/anna'].map(arn) }, administration),
      allow(users, use),
      { ...attachments, Condition: { Bool: { 'kms:GrantIsForAWSResource': 'true' } } },
    ],
  });
}

test('an account is charged for a policy when it is compiled, and not while it is kept', () => {
  const charged: [string, number][] = [];
  const policies = new Policies((...charge) => void charged.push(charge));
  const key = { policy: policyOf(100, 1), accountId };
  const { bytes } = policies.keyPolicy(key);
  policies.keyPolicy(key);
  const caller = { arn: 'a', accountId: '444455556666', userId: 'u', policies: ['{"Statement":[{"Effect":"Deny"}]}'] };
  const { identityPolicies } = policies.requester(caller as Parameters<Policies['requester']>[0]);
  expect(charged).toEqual([
    [accountId, 0],
    [accountId, bytes - 20_000],
    ['444455556666', 0],
    ['444455556666', identityPolicies[0]!.bytes],
  ]);
});

test('an account whose policies took too much is refused what is not compiled, and others are not', () => {
  using rates = new RequestRates({
    rates: { ...awsRates, PolicyReads: 100 },
    elsewhere: { exchange: () => Promise.resolve([]) },
    onRefused: () => {},
    onProblem: () => {},
  });
  const policies = new Policies((of, bytes) => chargeCompiling(bytes, of, { rates }));
  const use = (policy: string, of = accountId) => policies.keyPolicy({ policy, accountId: of });
  // Of each 10 kB a hundred a second; small ones cost nothing.
  for (let id = 0; id < 500; id++) use(policyOf(1, id));
  // Nor does what AWS's console makes, with a role of its own for each key.
  for (let id = 0; id < 500; id++) use(consolePolicyOf(id));
  const large = Array.from({ length: 4 }, (_, id) => policyOf(1_000, id));
  let compiled = 0;
  expect(() => {
    for (; compiled < large.length; compiled++) use(large[compiled]!);
  }).toThrow('You have exceeded the rate');
  expect(compiled).toBeGreaterThan(0);
  expect(compiled).toBeLessThan(4);
  // Nothing is compiled to be refused: it would not compile.
  expect(() => use('no policy')).toThrow('You have exceeded the rate');
  use(large[0]!);
  use(large[3]!, '444455556666');
});
