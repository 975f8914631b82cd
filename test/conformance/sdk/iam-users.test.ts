import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { paginateListUsers } from '@aws-sdk/client-iam';
import { KMS } from '@aws-sdk/client-kms';
import { clientsOf, newUserOf, policyOf } from '@keyfleet/test-support/iam-client';
import { refusalOf } from '@keyfleet/test-support/sdk-client';
import { expect, inject, test, vi } from 'vitest';

const { iam, kms } = clientsOf();
const account = '000000000000';
const denied = (who: string, action: string, resource: string): string =>
  `User: arn:aws:iam::${account}:user/${who} is not authorized to perform: ${action} on resource: ${resource} because no identity-based policy allows the ${action} action`;

test('the administrator that an account begins with is one of its users', async () => {
  const { User } = await iam.getUser({});
  expect(User).toMatchObject({ UserName: 'admin', Path: '/', Arn: `arn:aws:iam::${account}:user/admin` });
  expect((await iam.listAccessKeys({})).AccessKeyMetadata).toMatchObject([{ UserName: 'admin', Status: 'Active' }]);
});

test('a new user may do nothing, then what its policy allows, and then nothing again', async () => {
  const { iam: own, kms: ownKms, sts } = await newUserOf('nobody-yet');
  expect(await sts.getCallerIdentity({})).toMatchObject({
    Arn: `arn:aws:iam::${account}:user/nobody-yet`,
    Account: account,
  });
  expect(await refusalOf(ownKms.listKeys({}))).toBe(
    `AccessDeniedException: ${denied('nobody-yet', 'kms:ListKeys', '*')}`,
  );
  expect(await refusalOf(own.listUsers({}))).toBe(
    `AccessDenied: ${denied('nobody-yet', 'iam:ListUsers', `arn:aws:iam::${account}:user/`)}`,
  );
  const policy = { UserName: 'nobody-yet', PolicyName: 'lister', PolicyDocument: policyOf({ Action: 'kms:ListKeys' }) };
  await iam.putUserPolicy(policy);
  await ownKms.listKeys({});
  expect(decodeURIComponent((await iam.getUserPolicy(policy)).PolicyDocument!)).toBe(policy.PolicyDocument);
  expect((await iam.listUserPolicies(policy)).PolicyNames).toEqual(['lister']);
  await iam.deleteUserPolicy(policy);
  expect(await refusalOf(ownKms.listKeys({}))).toContain('no identity-based policy allows');
});

test('what a policy says of one user is not said of another', async () => {
  const { iam: own } = await newUserOf(
    'team-lead',
    policyOf({ Action: 'iam:*', Resource: `arn:aws:iam::${account}:user/team/*` }),
  );
  await own.createUser({ UserName: 'team-member', Path: '/team/' });
  expect(await refusalOf(own.createUser({ UserName: 'outsider' }))).toContain('AccessDenied: User:');
  expect((await own.getUser({ UserName: 'team-member' })).User).toMatchObject({ Path: '/team/' });
  // Neither says whether there is such a user.
  for (const UserName of ['admin', 'no-such-user']) {
    expect(await refusalOf(own.getUser({ UserName }))).toBe(
      `AccessDenied: ${denied('team-lead', 'iam:GetUser', `arn:aws:iam::${account}:user/${UserName}`)}`,
    );
  }
});

test('a new name or path for a user needs the permission on both of its ARNs', async () => {
  const Resource = `arn:aws:iam::${account}:user/climber`;
  const { iam: own, sts } = await newUserOf('climber', policyOf({ Action: 'iam:UpdateUser', Resource }));
  const refused = (to: string) =>
    `is not authorized to perform: iam:UpdateUser on resource: arn:aws:iam::${account}:user/${to} because`;
  expect(await refusalOf(own.updateUser({ UserName: 'climber', NewUserName: 'summit' }))).toContain(refused('summit'));
  expect(await refusalOf(own.updateUser({ UserName: 'climber', NewPath: '/top/' }))).toContain(refused('top/climber'));
  expect(await sts.getCallerIdentity({})).toMatchObject({ Arn: Resource });
});

test('an access key that is disabled or deleted stops working at once, and so does one whose user is renamed never', async () => {
  const UserName = 'key-owner';
  const { accessKeyId: AccessKeyId, kms: own } = await newUserOf(UserName, policyOf({ Action: 'kms:*' }));
  await own.listKeys({});
  await iam.updateAccessKey({ UserName, AccessKeyId, Status: 'Inactive' });
  const invalid = 'UnrecognizedClientException: The security token included in the request is invalid.';
  expect(await refusalOf(own.listKeys({}))).toBe(invalid);
  await iam.updateAccessKey({ UserName, AccessKeyId, Status: 'Active' });
  await own.listKeys({});
  await iam.updateUser({ UserName, NewUserName: 'new-owner', NewPath: '/new/' });
  await own.listKeys({});
  expect(await refusalOf(iam.getUser({ UserName }))).toContain('NoSuchEntity');
  await iam.deleteAccessKey({ UserName: 'new-owner', AccessKeyId });
  expect(await refusalOf(own.listKeys({}))).toBe(invalid);
  await iam.deleteUserPolicy({ UserName: 'new-owner', PolicyName: 'own' });
  await iam.deleteUser({ UserName: 'new-owner' });
});

test('the last use of an access key is told with its service and Region, and N/A of one that never signed', async () => {
  const UserName = 'seldom';
  const { accessKeyId: AccessKeyId, kms: own, sts } = await newUserOf(UserName);
  const never = { Region: 'N/A', ServiceName: 'N/A' };
  expect(await iam.getAccessKeyLastUsed({ AccessKeyId })).toMatchObject({ UserName, AccessKeyLastUsed: never });
  expect((await iam.getAccessKeyLastUsed({ AccessKeyId })).AccessKeyLastUsed?.LastUsedDate).toBeUndefined();
  const before = Math.floor(Date.now() / 1000) * 1000;
  // Also when it may do nothing.
  expect(await refusalOf(own.listKeys({}))).toContain('AccessDenied');
  const { AccessKeyLastUsed: used } = await iam.getAccessKeyLastUsed({ AccessKeyId });
  expect(used).toMatchObject({ Region: 'us-east-1', ServiceName: 'kms' });
  expect(used!.LastUsedDate!.getTime()).toBeGreaterThanOrEqual(before);
  await sts.getCallerIdentity({});
  expect(await iam.getAccessKeyLastUsed({ AccessKeyId })).toMatchObject({ AccessKeyLastUsed: { ServiceName: 'sts' } });
});

test('a caller who may not ask of a user hears of its access key what is said of one that is not there', async () => {
  const { accessKeyId: hers } = await newUserOf('private');
  const policy = policyOf({
    Action: 'iam:GetAccessKeyLastUsed',
    Resource: `arn:aws:iam::${account}:user/curious`,
  });
  const { iam: own, accessKeyId } = await newUserOf('curious', policy);
  expect(await own.getAccessKeyLastUsed({ AccessKeyId: accessKeyId })).toMatchObject({ UserName: 'curious' });
  for (const AccessKeyId of [hers, 'AKIA0000000000000000']) {
    expect(await refusalOf(own.getAccessKeyLastUsed({ AccessKeyId }))).toBe(
      `AccessDenied: User: arn:aws:iam::${account}:user/curious is not authorized to perform: iam:GetAccessKeyLastUsed on resource: access key ${AccessKeyId}`,
    );
  }
});

test('a change on one frontend is soon in force on another', async () => {
  const UserName = 'far-away';
  const { accessKeyId: AccessKeyId, credentials } = await newUserOf(UserName, policyOf({ Action: 'kms:ListKeys' }));
  const { endpoint } = inject('otherAccount');
  const there = new KMS({ endpoint, credentials, region: 'us-east-1', maxAttempts: 1 });
  const settles = (expected: string) =>
    vi.waitFor(
      async () =>
        expect(
          await there.listKeys({}).then(
            () => 'allowed',
            (e: Error) => e.name,
          ),
        ).toBe(expected),
      { timeout: 20_000, interval: 20 },
    );
  for (let i = 0; i < 3; i++) await there.listKeys({});
  await iam.deleteUserPolicy({ UserName, PolicyName: 'own' });
  await settles('AccessDeniedException');
  await iam.putUserPolicy({ UserName, PolicyName: 'own', PolicyDocument: policyOf({ Action: 'kms:ListKeys' }) });
  await settles('allowed');
  await iam.updateAccessKey({ UserName, AccessKeyId, Status: 'Inactive' });
  await settles('UnrecognizedClientException');
});

test('the audit record of new credentials has what they are called, and no secret of them', async () => {
  const { accessKeyId, credentials, sts } = await newUserOf('recorded');
  const { Credentials } = await sts.getSessionToken({});
  const text = () => readFileSync(join(inject('cluster').home, 'log', 'audit.log'), 'utf8');
  const recordOf = (id: string) => {
    const lines = text().split('\n');
    return lines.find((line) => line.includes(`"responseElements":{`) && line.includes(`"accessKeyId":"${id}"`));
  };
  await vi.waitFor(() => expect(recordOf(Credentials!.AccessKeyId!)).toBeDefined(), { timeout: 10_000 });
  expect(JSON.parse(recordOf(accessKeyId)!)).toMatchObject({
    eventSource: 'iam.amazonaws.com',
    eventName: 'CreateAccessKey',
    responseElements: { accessKey: { userName: 'recorded', accessKeyId, status: 'Active' } },
  });
  expect(JSON.parse(recordOf(Credentials!.AccessKeyId!)!)).toMatchObject({
    eventName: 'GetSessionToken',
    responseElements: { credentials: { accessKeyId: Credentials!.AccessKeyId } },
  });
  for (const secret of [credentials.secretAccessKey, Credentials!.SecretAccessKey!, Credentials!.SessionToken!]) {
    expect(text()).not.toContain(secret);
  }
});

test("IAM's errors are AWS's", async () => {
  await iam.createUser({ UserName: 'once' });
  expect(await refusalOf(iam.createUser({ UserName: 'ONCE' }))).toBe(
    'EntityAlreadyExistsException: User with name ONCE already exists.',
  );
  expect(await refusalOf(iam.getUser({ UserName: 'nobody-at-all' }))).toBe(
    'NoSuchEntityException: The user with name nobody-at-all cannot be found.',
  );
  const put = (PolicyDocument: string) => iam.putUserPolicy({ UserName: 'once', PolicyName: 'p', PolicyDocument });
  expect(await refusalOf(put('{'))).toContain('MalformedPolicyDocument');
  expect(await refusalOf(put(policyOf({ Action: 'kms:*', Principal: '*' })))).toContain('MalformedPolicyDocument');
  expect(
    await refusalOf(put(policyOf({ Action: 'kms:Encrypt', Resource: `arn:aws:kms:*:*:key/${'r'.repeat(2048)}` }))),
  ).toContain('LimitExceeded');
  await iam.createAccessKey({ UserName: 'once' });
  await iam.createAccessKey({ UserName: 'once' });
  expect(await refusalOf(iam.createAccessKey({ UserName: 'once' }))).toBe(
    'LimitExceededException: Cannot exceed quota for AccessKeysPerUser: 2',
  );
  expect(await refusalOf(iam.deleteUser({ UserName: 'once' }))).toBe(
    'DeleteConflictException: Cannot delete entity, must delete access keys first.',
  );
  expect(await refusalOf(iam.createUser({ UserName: 'not a name' }))).toMatch(
    /^ValidationError: 1 validation error detected: .*'userName'/,
  );
});

test('users are tagged, listed in pages, and each once', async () => {
  for (const n of [1, 2, 3])
    await iam.createUser({ UserName: `paged-${n}`, Path: '/paged/', Tags: [{ Key: 'n', Value: `${n}` }] });
  const names: string[] = [];
  for await (const { Users } of paginateListUsers({ client: iam, pageSize: 2 }, { PathPrefix: '/paged/' })) {
    names.push(...Users!.map(({ UserName }) => UserName!));
  }
  expect(names).toEqual(['paged-1', 'paged-2', 'paged-3']);
  const UserName = 'paged-1';
  await iam.tagUser({
    UserName,
    Tags: [
      { Key: 'N', Value: '9' },
      { Key: 'team', Value: '' },
    ],
  });
  await iam.untagUser({ UserName, TagKeys: ['TEAM'] });
  expect((await iam.listUserTags({ UserName })).Tags).toEqual([{ Key: 'N', Value: '9' }]);
});

test('a key policy may name a user that there is, and no other', async () => {
  const { kms: own } = await newUserOf('named');
  const principal = (name: string) => ({
    AWS: [`arn:aws:iam::${account}:user/${name}`, `arn:aws:iam::${account}:user/admin`],
  });
  const Policy = policyOf({ Action: 'kms:*', Principal: principal('named') });
  const { KeyMetadata } = await kms.createKey({ Policy });
  await own.describeKey({ KeyId: KeyMetadata!.KeyId });
  const nobody = policyOf({ Action: 'kms:*', Principal: principal('no-such-user') });
  expect(await refusalOf(kms.createKey({ Policy: nobody }))).toContain('MalformedPolicyDocument');
});
