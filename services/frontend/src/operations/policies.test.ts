import { CreateKey, DescribeKey } from '@keyfleet/shared/api/keys';
import { GetKeyPolicy, ListKeyPolicies, PutKeyPolicy } from '@keyfleet/shared/api/policies';
import { accountId, FakeFrontend, user } from '@keyfleet/test-support/fakes/frontend';
import { beforeEach, expect, test } from 'vitest';

let frontend: FakeFrontend;
let keyId: string;
let arn: string;
beforeEach(async () => {
  frontend = new FakeFrontend();
  const { KeyMetadata } = await frontend.call(CreateKey, {});
  keyId = KeyMetadata?.KeyId ?? '';
  arn = KeyMetadata?.Arn ?? '';
});

const alice = user('alice').arn;

function policy(...statements: object[]): string {
  return JSON.stringify({ Version: '2012-10-17', Statement: statements });
}
function statement(overrides: object = {}): object {
  return { Effect: 'Allow', Principal: { AWS: alice }, Action: 'kms:*', Resource: '*', ...overrides };
}

test('a key has the default policy until it is given another, which is returned as it was put', async () => {
  const { Policy } = await frontend.call(GetKeyPolicy, { KeyId: keyId });
  expect(JSON.parse(Policy ?? '')).toEqual({
    Version: '2012-10-17',
    Id: 'key-default-1',
    Statement: [
      {
        Sid: 'Enable IAM User Permissions',
        Effect: 'Allow',
        Principal: { AWS: `arn:aws:iam::${accountId}:root` },
        Action: 'kms:*',
        Resource: '*',
      },
    ],
  });
  const put = policy(statement({ Sid: 'with spaces' }));
  expect(await frontend.call(PutKeyPolicy, { KeyId: keyId, Policy: put })).toBeUndefined();
  expect(await frontend.call(GetKeyPolicy, { KeyId: keyId })).toEqual({ Policy: put, PolicyName: 'default' });
  expect(await frontend.call(ListKeyPolicies, { KeyId: keyId })).toEqual({
    PolicyNames: ['default'],
    Truncated: false,
  });
});

test('PutKeyPolicy is audited with its policy and the key, GetKeyPolicy without the answer', async () => {
  const Policy = policy(statement());
  await frontend.call(PutKeyPolicy, { KeyId: keyId, Policy });
  expect(frontend.lastAudit).toMatchObject({
    requestParameters: { keyId, policyName: 'default', policy: Policy, bypassPolicyLockoutSafetyCheck: false },
    responseElements: { keyId: arn },
    readOnly: false,
  });
  await frontend.call(GetKeyPolicy, { KeyId: keyId });
  expect(frontend.lastAudit).toMatchObject({ responseElements: null, readOnly: true });
});

test('a new policy holds at once', async () => {
  await frontend.call(PutKeyPolicy, { KeyId: keyId, Policy: policy(statement()) });
  expect(await frontend.refusal(DescribeKey, { KeyId: keyId }, { caller: user('bob') })).toBe(
    `AccessDeniedException: User: ${user('bob').arn} is not authorized to perform: kms:DescribeKey on resource: ${arn} because no resource-based policy allows the kms:DescribeKey action`,
  );
  await frontend.call(DescribeKey, { KeyId: keyId });
});

test('a user made again under a name in a policy is allowed only once the policy is put again', async () => {
  const bob = user('bob');
  const Policy = policy(statement(), statement({ Principal: { AWS: [bob.arn] }, Action: 'kms:DescribeKey' }));
  await frontend.call(PutKeyPolicy, { KeyId: keyId, Policy });
  await frontend.call(DescribeKey, { KeyId: keyId }, { caller: bob });

  frontend.idOf = (arn) => (arn === bob.arn ? undefined : user('alice').userId);
  const gone = await frontend.call(GetKeyPolicy, { KeyId: keyId });
  expect(gone.Policy).toBe(Policy.replace(bob.arn, bob.userId));
  expect(await frontend.refusal(PutKeyPolicy, { KeyId: keyId, Policy: gone.Policy! })).toContain('invalid principals');

  const again = user('bob', { userId: 'AIDABOBTHESECOND' });
  frontend.idOf = (arn) => (arn === bob.arn ? again.userId : user('alice').userId);
  expect((await frontend.call(GetKeyPolicy, { KeyId: keyId })).Policy).toBe(gone.Policy);
  expect(await frontend.refusal(DescribeKey, { KeyId: keyId }, { caller: again })).toContain(
    'no resource-based policy',
  );
  await frontend.call(PutKeyPolicy, { KeyId: keyId, Policy });
  await frontend.call(DescribeKey, { KeyId: keyId }, { caller: again });
  expect(await frontend.refusal(DescribeKey, { KeyId: keyId }, { caller: bob })).toContain('no resource-based policy');
});

test('a policy that was stored by ARN, by an earlier release, keeps its meaning', async () => {
  const stored = (await frontend.store.findKey('us-east-1', keyId))!;
  const bob = user('bob');
  const document = policy(statement({ Principal: { AWS: bob.arn } }));
  await frontend.store.updateKey({ ...stored, policy: document });
  await frontend.call(DescribeKey, { KeyId: keyId }, { caller: bob });
  expect((await frontend.call(GetKeyPolicy, { KeyId: keyId }, { caller: bob })).Policy).toBe(document);
});

test('nobody locks themselves out by mistake', async () => {
  const expected =
    'MalformedPolicyDocumentException: The new key policy will not allow you to update the key policy in the future.';
  for (const Policy of [
    policy(statement({ Principal: { AWS: user('bob').arn } })),
    policy(statement({ Action: 'kms:Encrypt' })),
    policy(statement(), statement({ Effect: 'Deny', Action: 'kms:Put*' })),
  ]) {
    expect(await frontend.refusal(PutKeyPolicy, { KeyId: keyId, Policy })).toBe(expected);
    await frontend.call(PutKeyPolicy, { KeyId: keyId, Policy: policy(statement()) });
  }
  const Policy = policy(statement({ Principal: { AWS: user('bob').arn } }));
  await frontend.call(PutKeyPolicy, { KeyId: keyId, Policy, BypassPolicyLockoutSafetyCheck: true });
});

test.each([
  ['not json', 'MalformedPolicyDocumentException: This policy contains invalid Json'],
  ['{}', 'MalformedPolicyDocumentException: Syntax errors in policy.'],
  [policy(statement({ Effect: 'Maybe' })), 'MalformedPolicyDocumentException: Syntax errors in policy.'],
  [policy(statement({ NotPrincipal: '*' })), 'MalformedPolicyDocumentException: Syntax errors in policy.'],
  [policy(statement({ NotAction: 'kms:*' })), 'MalformedPolicyDocumentException: Syntax errors in policy.'],
  [
    policy({ Effect: 'Allow', Action: 'kms:*', Resource: '*' }),
    'MalformedPolicyDocumentException: Policy contains a statement with no principal.',
  ],
  ...[
    'arn:aws:iam::1:root',
    'bob',
    'arn:aws:iam::111122223333:group/g',
    'arn:aws:iam::111122223333:user/*',
    user('nobody').arn,
    `arn:aws:iam::${accountId}:role/app`,
    `arn:aws:sts::${accountId}:assumed-role/app/session`,
  ].map((AWS) => [
    policy(statement(), statement({ Principal: { AWS } })),
    'MalformedPolicyDocumentException: Policy contains a statement with one or more invalid principals.',
  ]),
  [`{"Statement":"${'x'.repeat(32_768)}"}`, 'LimitExceededException: The key policy is larger than 32768 bytes.'],
])('a policy that is none', async (Policy, expected) => {
  expect(await frontend.refusal(PutKeyPolicy, { KeyId: keyId, Policy })).toBe(expected);
});

test('ForAllValues on a single-valued key is refused, since it would match requests without it', async () => {
  const Condition = { 'ForAllValues:StringEquals': { 'kms:EncryptionContext:app': 'x' } };
  expect(
    await frontend.refusal(PutKeyPolicy, { KeyId: keyId, Policy: policy(statement(), statement({ Condition })) }),
  ).toMatch(/^MalformedPolicyDocumentException: OverlyPermissiveCondition: /);
});

test('there is only one policy name', async () => {
  const expected = 'NotFoundException: No such policy exists';
  expect(await frontend.refusal(GetKeyPolicy, { KeyId: keyId, PolicyName: 'other' })).toBe(expected);
  expect(await frontend.refusal(PutKeyPolicy, { KeyId: keyId, PolicyName: 'other', Policy: '{}' })).toBe(expected);
});

test('management operations take no alias', async () => {
  expect(await frontend.refusal(GetKeyPolicy, { KeyId: 'alias/a' })).toBe(
    'InvalidArnException: Key Aliases are not supported for this operation.',
  );
  expect(await frontend.refusal(GetKeyPolicy, { KeyId: 'arn:nonsense' })).toBe(
    'InvalidArnException: Invalid arn arn:nonsense',
  );
});
