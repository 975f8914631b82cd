import { expect, test } from 'vitest';
import type { Call } from '../../operations/handler.ts';
import type { GroupRecord, UserRecord } from '../iam-records.ts';
import { MemoryIamStore } from '../memory-iam-store.ts';
import type { Admitted, IamDeps, QueryOperation } from '../query-operation.ts';
import { IAM_QUOTAS } from '../quotas.ts';
import { sessionPolicies } from '../sts/sessions.ts';
import { givenTrustPolicy } from '../trust-policy.ts';
import { inlinePolicyOperations } from './inline-policies.ts';
import { managedPolicyOperations } from './managed-policies.ts';

const accountId = '000000000000';
const common = { schemaVersion: 1, revision: 1, accountId, path: '/', createdAt: 0, attached: [] } as const;
const userOf = (inline: UserRecord['inline'] = []): UserRecord => ({
  ...common,
  kind: 'user',
  name: 'alice',
  id: 'AIDAALICE00000000',
  inline,
  tags: [],
  groups: [],
  accessKeys: [],
});
const group: GroupRecord = { ...common, kind: 'group', name: 'team', id: 'AGPATEAM000000000', inline: [] };

/** A policy that is this long as given, almost all of it white space. */
function spaced(length: number): string {
  const policy = JSON.stringify({ Version: '2012-10-17', Statement: { Effect: 'Deny', Action: 'a:b', Resource: '*' } });
  return policy.slice(0, -1) + '}'.padStart(length - policy.length + 1);
}
/** Whoever reads it finds it malformed. */
const unread = (length: number): string => '{'.padEnd(length, 'x');

function run(operations: readonly QueryOperation[], name: string, input: object, record: object) {
  const iam = new MemoryIamStore();
  const deps = { iam, clock: { now: () => 0 }, partition: 'aws' } as object as IamDeps;
  const admitted = { input, record, call: { caller: { accountId } } } as object as Admitted<never, never>;
  const operation = operations.find((one) => one.name === name)!;
  return iam.insert(record as UserRecord, 10).then(() => operation.run(admitted, deps));
}

const putUser = (PolicyDocument: string, record = userOf()) =>
  run(inlinePolicyOperations, 'PutUserPolicy', { PolicyName: 'one', PolicyDocument }, record);
const putGroup = (PolicyDocument: string) =>
  run(inlinePolicyOperations, 'PutGroupPolicy', { PolicyName: 'one', PolicyDocument }, group);
const create = (PolicyDocument: string) =>
  run(managedPolicyOperations, 'CreatePolicy', { PolicyName: 'one', PolicyDocument }, userOf());
const trust = (document: string) =>
  givenTrustPolicy(document, { caller: { accountId } } as object as Call, {} as object as IamDeps);

const { inlinePolicyLength, managedPolicyLength, trustPolicyLength } = IAM_QUOTAS;

test.each([
  ['of a user', putUser, inlinePolicyLength.user],
  ['of a group', putGroup, inlinePolicyLength.group],
  ['that is managed', create, managedPolicyLength],
] as const)('a policy %s is stored with white space of at most its own quota', async (_, put, quota) => {
  await put(spaced(2 * quota));
  await expect(put(spaced(2 * quota + 1))).rejects.toMatchObject({ queryCode: 'LimitExceeded' });
});

test('inline policies are measured together, white space and all', async () => {
  const other = { name: 'two', document: spaced(inlinePolicyLength.user) };
  await putUser(spaced(inlinePolicyLength.user), userOf([other]));
  await expect(putUser(spaced(inlinePolicyLength.user + 1), userOf([other]))).rejects.toMatchObject({
    queryCode: 'LimitExceeded',
  });
});

test.each([
  ['an inline policy', putUser, 2 * inlinePolicyLength.user],
  ['a managed policy', create, 2 * managedPolicyLength],
  ['a trust policy', trust, 2 * trustPolicyLength],
] as const)('the length of %s is checked before it is read', async (_, put, longest) => {
  await expect(put(unread(longest + 1))).rejects.toMatchObject({ queryCode: 'LimitExceeded' });
  await expect(put(unread(300))).rejects.toMatchObject({ queryCode: 'MalformedPolicyDocument' });
});

test('the length of a session policy is checked before it is read', async () => {
  const put = (Policy: string) =>
    sessionPolicies({ Policy }, accountId, { iam: new MemoryIamStore(), partition: 'aws' });
  await expect(put(unread(2_049))).rejects.toMatchObject({ queryCode: 'PackedPolicyTooLarge' });
  await expect(put(unread(2_048))).rejects.toMatchObject({ queryCode: 'MalformedPolicyDocument' });
});
