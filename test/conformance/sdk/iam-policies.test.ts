import { paginateGetAccountAuthorizationDetails } from '@aws-sdk/client-iam';
import { clientsOf, newUserOf, policyOf } from '@keyfleet/test-support/iam-client';
import { refusalOf } from '@keyfleet/test-support/sdk-client';
import { expect, test } from 'vitest';

const { iam } = clientsOf();
const account = '000000000000';
const listing = policyOf({ Action: 'kms:ListKeys' });
const arnOf = (policy: string): string => `arn:aws:iam::${account}:policy/${policy}`;

test('a managed policy lets in whom it is attached to, in its default version', async () => {
  const UserName = 'attached-to';
  const { kms: own } = await newUserOf(UserName);
  const { Policy } = await iam.createPolicy({ PolicyName: 'listing', Path: '/p/', PolicyDocument: listing });
  const PolicyArn = Policy!.Arn!;
  expect(Policy).toMatchObject({ Arn: arnOf('p/listing'), DefaultVersionId: 'v1', AttachmentCount: 0 });
  await iam.attachUserPolicy({ UserName, PolicyArn });
  await own.listKeys({});
  expect((await iam.listAttachedUserPolicies({ UserName })).AttachedPolicies).toEqual([
    { PolicyName: 'listing', PolicyArn },
  ]);
  expect((await iam.getPolicy({ PolicyArn })).Policy).toMatchObject({ AttachmentCount: 1 });
  expect((await iam.listEntitiesForPolicy({ PolicyArn })).PolicyUsers).toMatchObject([{ UserName }]);

  const PolicyDocument = policyOf({ Action: 'kms:CreateKey' });
  await iam.createPolicyVersion({ PolicyArn, PolicyDocument, SetAsDefault: true });
  expect(await refusalOf(own.listKeys({}))).toContain('no identity-based policy');
  await own.createKey({});
  await iam.setDefaultPolicyVersion({ PolicyArn, VersionId: 'v1' });
  await own.listKeys({});
  const { PolicyVersion } = await iam.getPolicyVersion({ PolicyArn, VersionId: 'v2' });
  expect(decodeURIComponent(PolicyVersion!.Document!)).toBe(PolicyDocument);
  expect((await iam.listPolicyVersions({ PolicyArn })).Versions).toMatchObject([
    { VersionId: 'v2', IsDefaultVersion: false },
    { VersionId: 'v1', IsDefaultVersion: true },
  ]);

  expect(await refusalOf(iam.deletePolicyVersion({ PolicyArn, VersionId: 'v1' }))).toContain('DeleteConflict');
  expect(await refusalOf(iam.deletePolicy({ PolicyArn }))).toContain('DeleteConflict');
  await iam.deletePolicyVersion({ PolicyArn, VersionId: 'v2' });
  expect(await refusalOf(iam.deletePolicy({ PolicyArn }))).toBe(
    'DeleteConflictException: Cannot delete a policy attached to entities.',
  );
  await iam.detachUserPolicy({ UserName, PolicyArn });
  expect(await refusalOf(own.listKeys({}))).toContain('no identity-based policy');
  await iam.deletePolicy({ PolicyArn });
  expect(await refusalOf(iam.getPolicy({ PolicyArn }))).toBe(
    `NoSuchEntityException: Policy ${PolicyArn} was not found.`,
  );
  expect(await refusalOf(iam.attachUserPolicy({ UserName, PolicyArn }))).toContain('NoSuchEntity');
});

test('tags of a managed policy are given, replaced and taken away', async () => {
  const Tags = [{ Key: 'team', Value: 'a' }];
  const { Policy } = await iam.createPolicy({ PolicyName: 'tagged', PolicyDocument: listing, Tags });
  const PolicyArn = Policy!.Arn!;
  const given = [
    { Key: 'Team', Value: 'b' },
    { Key: 'stage', Value: 'test' },
  ];
  await iam.tagPolicy({ PolicyArn, Tags: given });
  expect((await iam.listPolicyTags({ PolicyArn })).Tags).toEqual(given);
  await iam.untagPolicy({ PolicyArn, TagKeys: ['TEAM'] });
  expect((await iam.getPolicy({ PolicyArn })).Policy!.Tags).toEqual([given[1]]);
  const PolicyOfAws = 'arn:aws:iam::aws:policy/IAMReadOnlyAccess';
  expect(await refusalOf(iam.tagPolicy({ PolicyArn: PolicyOfAws, Tags }))).toContain('AWS managed policy');
  await iam.deletePolicy({ PolicyArn });
});

test("a policy of AWS's own can be attached, and not changed", async () => {
  const UserName = 'iam-reader';
  const { iam: own } = await newUserOf(UserName);
  const PolicyArn = 'arn:aws:iam::aws:policy/IAMReadOnlyAccess';
  await iam.attachUserPolicy({ UserName, PolicyArn });
  await own.listUsers({});
  expect(await refusalOf(own.createUser({ UserName: 'x' }))).toContain('AccessDenied');
  expect((await iam.listPolicies({ Scope: 'AWS' })).Policies!.map(({ PolicyName }) => PolicyName)).toContain(
    'IAMReadOnlyAccess',
  );
  expect(await refusalOf(iam.createPolicyVersion({ PolicyArn, PolicyDocument: listing }))).toContain('AccessDenied');
});

test('members of a group may what its policies allow, while they are members', async () => {
  const [GroupName, UserName] = ['listers', 'member'];
  const { kms: own } = await newUserOf(UserName);
  await iam.createGroup({ GroupName });
  await iam.putGroupPolicy({ GroupName, PolicyName: 'own', PolicyDocument: listing });
  expect(await refusalOf(own.listKeys({}))).toContain('no identity-based policy');
  await iam.addUserToGroup({ GroupName, UserName });
  await own.listKeys({});
  expect((await iam.getGroup({ GroupName })).Users).toMatchObject([{ UserName }]);
  expect((await iam.listGroupsForUser({ UserName })).Groups).toMatchObject([{ GroupName }]);
  expect(await refusalOf(iam.deleteUser({ UserName }))).toContain('DeleteConflict');
  await iam.deleteGroupPolicy({ GroupName, PolicyName: 'own' });
  expect(await refusalOf(iam.deleteGroup({ GroupName }))).toBe(
    'DeleteConflictException: Cannot delete entity, must remove users from group first.',
  );
  await iam.removeUserFromGroup({ GroupName, UserName });
  expect(await refusalOf(iam.removeUserFromGroup({ GroupName, UserName }))).toContain('NoSuchEntity');
  await iam.deleteGroup({ GroupName });
});

test('a group with another name or path keeps its members, and they what its policies allow', async () => {
  const UserName = 'still-member';
  const { kms: own } = await newUserOf(UserName);
  const made = await iam.createGroup({ GroupName: 'former' });
  await iam.createGroup({ GroupName: 'occupied' });
  await iam.putGroupPolicy({ GroupName: 'former', PolicyName: 'own', PolicyDocument: listing });
  await iam.addUserToGroup({ GroupName: 'former', UserName });
  await iam.updateGroup({ GroupName: 'former', NewGroupName: 'Later', NewPath: '/new/' });
  await own.listKeys({});
  const { Group, Users } = await iam.getGroup({ GroupName: 'later' });
  expect(Group).toMatchObject({ GroupName: 'Later', Arn: `arn:aws:iam::${account}:group/new/Later` });
  expect(Group!.GroupId).toBe(made.Group!.GroupId);
  expect(Users).toMatchObject([{ UserName }]);
  expect(await refusalOf(iam.getGroup({ GroupName: 'former' }))).toContain('NoSuchEntity');
  expect(await refusalOf(iam.updateGroup({ GroupName: 'Later', NewGroupName: 'OCCUPIED' }))).toBe(
    'EntityAlreadyExistsException: Group with name OCCUPIED already exists.',
  );
  const Resource = `arn:aws:iam::${account}:group/new/Later`;
  const { iam: other } = await newUserOf('renamer', policyOf({ Action: 'iam:UpdateGroup', Resource }));
  expect(await refusalOf(other.updateGroup({ GroupName: 'Later', NewGroupName: 'admins' }))).toContain(
    `iam:UpdateGroup on resource: arn:aws:iam::${account}:group/new/admins because`,
  );
  await iam.removeUserFromGroup({ GroupName: 'Later', UserName });
  expect(await refusalOf(own.listKeys({}))).toContain('no identity-based policy');
});

test('users of a policy are listed by kind, path and use', async () => {
  const { Policy } = await iam.createPolicy({ PolicyName: 'used', PolicyDocument: listing });
  const PolicyArn = Policy!.Arn!;
  for (const UserName of ['uses-1', 'uses-2']) await iam.createUser({ UserName, Path: `/${UserName}/` });
  await iam.createGroup({ GroupName: 'uses' });
  await iam.attachUserPolicy({ UserName: 'uses-1', PolicyArn });
  await iam.attachGroupPolicy({ GroupName: 'uses', PolicyArn });
  for (const UserName of ['uses-1', 'uses-2']) {
    await iam.putUserPermissionsBoundary({ UserName, PermissionsBoundary: PolicyArn });
  }
  const used = async (filter: object) => {
    const { PolicyUsers, PolicyGroups } = await iam.listEntitiesForPolicy({ PolicyArn, ...filter });
    return [...PolicyUsers!.map(({ UserName }) => UserName), ...PolicyGroups!.map(({ GroupName }) => GroupName)];
  };
  expect(await used({})).toEqual(['uses-1', 'uses-2', 'uses']);
  expect(await used({ EntityFilter: 'User', PolicyUsageFilter: 'PermissionsPolicy' })).toEqual(['uses-1']);
  expect(await used({ PolicyUsageFilter: 'PermissionsBoundary' })).toEqual(['uses-1', 'uses-2']);
  expect(await used({ PathPrefix: '/uses-2/' })).toEqual(['uses-2']);
});

test('a user has none of what only AWS has', async () => {
  const UserName = 'plain';
  await iam.createUser({ UserName });
  expect(await iam.listMFADevices({ UserName })).toMatchObject({ MFADevices: [], IsTruncated: false });
  expect((await iam.listVirtualMFADevices({ AssignmentStatus: 'Assigned' })).VirtualMFADevices).toEqual([]);
  expect(await refusalOf(iam.deleteLoginProfile({ UserName }))).toBe(
    'NoSuchEntityException: Login Profile for User plain cannot be found.',
  );
  expect(await refusalOf(iam.listSigningCertificates({ UserName: 'nobody-at-all' }))).toContain('NoSuchEntity');
});

test('a permissions boundary is the most that policies can allow', async () => {
  const UserName = 'bounded';
  const { kms: own } = await newUserOf(UserName, policyOf({ Action: 'kms:*' }));
  await own.createKey({});
  const { Policy } = await iam.createPolicy({ PolicyName: 'most', PolicyDocument: listing });
  const PermissionsBoundary = Policy!.Arn!;
  await iam.putUserPermissionsBoundary({ UserName, PermissionsBoundary });
  await own.listKeys({});
  expect(await refusalOf(own.createKey({}))).toContain(
    'because no permissions boundary allows the kms:CreateKey action',
  );
  expect((await iam.getUser({ UserName })).User).toMatchObject({
    PermissionsBoundary: { PermissionsBoundaryArn: PermissionsBoundary },
  });
  expect(await refusalOf(iam.deletePolicy({ PolicyArn: PermissionsBoundary }))).toContain('DeleteConflict');
  await iam.deleteUserPermissionsBoundary({ UserName });
  await own.createKey({});
  await iam.deletePolicy({ PolicyArn: PermissionsBoundary });
});

test('a caller who may attach policies under a condition attaches no others', async () => {
  const UserName = 'delegate';
  const { Policy } = await iam.createPolicy({ PolicyName: 'harmless', PolicyDocument: listing });
  const Condition = { ArnEquals: { 'iam:PolicyARN': Policy!.Arn } };
  const { iam: own } = await newUserOf(UserName, policyOf({ Action: 'iam:AttachUserPolicy', Condition }));
  await own.attachUserPolicy({ UserName, PolicyArn: Policy!.Arn! });
  const administrator = 'arn:aws:iam::aws:policy/AdministratorAccess';
  expect(await refusalOf(own.attachUserPolicy({ UserName, PolicyArn: administrator }))).toContain('AccessDenied');
});

test('a condition on the ARN of a policy or of a boundary is not evaded by writing it in other letters', async () => {
  const UserName = 'shouter';
  const { Policy } = await iam.createPolicy({ PolicyName: 'Guarded', PolicyDocument: listing });
  const Condition = { ArnEquals: { 'iam:PolicyARN': Policy!.Arn } };
  const actions = ['iam:AttachUserPolicy', 'iam:DetachUserPolicy'];
  const { iam: own } = await newUserOf(
    UserName,
    policyOf({ Action: 'iam:*' }, { Effect: 'Deny', Action: actions, Condition }),
  );
  const PolicyArn = arnOf('GUARDED');
  const absent = `NoSuchEntityException: Policy ${PolicyArn} was not found.`;
  expect(await refusalOf(own.attachUserPolicy({ UserName, PolicyArn: Policy!.Arn! }))).toContain('explicit deny');
  expect(await refusalOf(own.attachUserPolicy({ UserName, PolicyArn }))).toBe(absent);
  expect(await refusalOf(own.putUserPermissionsBoundary({ UserName, PermissionsBoundary: PolicyArn }))).toBe(absent);
  await iam.attachUserPolicy({ UserName, PolicyArn: Policy!.Arn! });
  expect(await refusalOf(own.detachUserPolicy({ UserName, PolicyArn }))).toBe(absent);
});

test('the boundary that a user has decides who may change its policies, and take the boundary away', async () => {
  const { Policy } = await iam.createPolicy({ PolicyName: 'fence', PolicyDocument: listing });
  const fence = { StringEquals: { 'iam:PermissionsBoundary': Policy!.Arn } };
  const Action = ['iam:PutUserPolicy', 'iam:DeleteUserPermissionsBoundary', 'iam:PutUserPermissionsBoundary'];
  await iam.createUser({ UserName: 'fenced', PermissionsBoundary: Policy!.Arn });
  await iam.createUser({ UserName: 'unfenced' });
  const { iam: own } = await newUserOf(
    'fence-keeper',
    policyOf(
      { Action, Condition: fence },
      { Effect: 'Deny', Action: 'iam:DeleteUserPermissionsBoundary', Condition: fence },
    ),
  );
  const policy = { PolicyName: 'own', PolicyDocument: listing };
  await own.putUserPolicy({ UserName: 'fenced', ...policy });
  expect(await refusalOf(own.putUserPolicy({ UserName: 'unfenced', ...policy }))).toContain('no identity-based policy');
  expect(await refusalOf(own.deleteUserPermissionsBoundary({ UserName: 'fenced' }))).toContain('explicit deny');
  const wider = { UserName: 'fenced', PermissionsBoundary: 'arn:aws:iam::aws:policy/AdministratorAccess' };
  expect(await refusalOf(own.putUserPermissionsBoundary(wider))).toContain('no identity-based policy');
  await own.putUserPermissionsBoundary({ UserName: 'unfenced', PermissionsBoundary: Policy!.Arn });
});

test('the tags of a user can be asked for by both of their names', async () => {
  const names = ['aws:ResourceTag/kept', 'iam:ResourceTag/Kept'];
  for (const [index, name] of names.entries()) {
    const Tags = [{ Key: 'kept', Value: 'yes' }];
    const UserName = `kept-${index}`;
    await iam.createUser({ UserName, Tags });
    const Condition = { StringEquals: { [name]: 'yes' } };
    const { iam: own } = await newUserOf(
      `sweeper-${index}`,
      policyOf({ Action: 'iam:*' }, { Effect: 'Deny', Action: 'iam:DeleteUser', Condition }),
    );
    expect(await refusalOf(own.deleteUser({ UserName }))).toContain('explicit deny');
  }
});

test('the account is shown as a whole, page by page, and counted', async () => {
  const UserName = 'in-details';
  const { Policy } = await iam.createPolicy({ PolicyName: 'of-details', PolicyDocument: listing });
  await iam.createUser({ UserName, PermissionsBoundary: Policy!.Arn, Tags: [{ Key: 'a', Value: 'b' }] });
  await iam.putUserPolicy({ UserName, PolicyName: 'own', PolicyDocument: listing });
  await iam.attachUserPolicy({ UserName, PolicyArn: Policy!.Arn });
  const [users, policies] = [new Map<string, object>(), new Map<string, object>()];
  for await (const page of paginateGetAccountAuthorizationDetails({ client: iam, pageSize: 20 }, {})) {
    for (const user of page.UserDetailList ?? []) users.set(user.UserName!, user);
    for (const policy of page.Policies ?? []) policies.set(policy.PolicyName!, policy);
  }
  const PolicyDocument = encodeURIComponent(listing).replaceAll('*', '%2A');
  expect(users.get(UserName)).toMatchObject({
    UserPolicyList: [{ PolicyName: 'own', PolicyDocument }],
    AttachedManagedPolicies: [{ PolicyName: 'of-details', PolicyArn: Policy!.Arn }],
    PermissionsBoundary: { PermissionsBoundaryArn: Policy!.Arn },
    Tags: [{ Key: 'a', Value: 'b' }],
  });
  expect(policies.get('of-details')).toMatchObject({
    AttachmentCount: 1,
    PermissionsBoundaryUsageCount: 1,
    PolicyVersionList: [{ VersionId: 'v1', IsDefaultVersion: true, Document: PolicyDocument }],
  });
  expect(policies.has('AdministratorAccess')).toBe(true);
  const only = await iam.getAccountAuthorizationDetails({ Filter: ['AWSManagedPolicy'] });
  expect(only.Policies!.length).toBe(4);
  expect(only.UserDetailList ?? []).toEqual([]);
  const { SummaryMap } = await iam.getAccountSummary({});
  expect(SummaryMap).toMatchObject({ UsersQuota: 5_000, MFADevices: 0 });
  expect(SummaryMap!.Users).toBeGreaterThan(0);
});
