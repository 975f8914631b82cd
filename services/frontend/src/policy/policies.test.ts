import { consolePolicyOf } from '@keyfleet/test-support/policy/console';
import { ratesAlone } from '@keyfleet/test-support/rates-alone';
import { expect, test } from 'vitest';
import { chargeCompiling } from '../identities/rates.ts';
import { Policies } from './policies.ts';

const accountId = '111122223333';
/** A key policy of so many patterns; `id` makes it another one. */
function policyOf(patterns: number, id: number): string {
  const listed = Array.from({ length: patterns }, (_, i) => `arn:*:*:*:*:*${i}*`);
  const Condition = { ArnLike: { 'aws:PrincipalArn': listed } };
  const Statement = { Effect: 'Deny', Principal: '*', Action: 'kms:*', Resource: '*', Condition };
  return JSON.stringify({ Version: '2012-10-17', Id: `${id}`, Statement });
}

test('an account is charged for a policy when it is compiled, and not while it is kept', () => {
  const charged: [string, number][] = [];
  const policies = new Policies((...charge) => void charged.push(charge));
  const key = { policy: policyOf(100, 1), accountId };
  const { bytes } = policies.keyPolicy(key);
  policies.keyPolicy(key);
  const attached = policyOf(100, 2).replace('"Principal":"*",', '');
  const caller = { arn: 'a', accountId: '444455556666', userId: 'u', policies: [attached] };
  const { identityPolicies } = policies.requester(caller as Parameters<Policies['requester']>[0]);
  expect(charged).toEqual([
    [accountId, 0],
    [accountId, Math.floor((bytes - 12_000) / 6_000)],
    ['444455556666', 0],
    ['444455556666', Math.floor(identityPolicies[0]!.bytes / 6_000)],
  ]);
});

test('an account whose policies took too much is refused what is not compiled, and others are not', () => {
  using rates = ratesAlone({ PolicyReads: 100 });
  const policies = new Policies((of, bytes) => chargeCompiling(bytes, of, { rates }));
  const use = (policy: string, of = accountId) => policies.keyPolicy({ policy, accountId: of });
  // Of each 6 kB a hundred a second; small ones cost nothing.
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
