import { STS } from '@aws-sdk/client-sts';
import { createKmsClient } from '@keyfleet/client/client';
import { clientsOf, newUserOf, policyOf } from '@keyfleet/test-support/iam-client';
import { refusalOf } from '@keyfleet/test-support/sdk-client';
import { importPKCS8, SignJWT } from 'jose';
import { expect, inject, test } from 'vitest';

const { iam, kms, sts } = clientsOf();
const account = '000000000000';
const { accountId: otherId, credentials: otherCredentials, endpoint: otherEndpoint, oidc } = inject('otherAccount');
const other = clientsOf(otherCredentials);
const arnOf = (role: string, owner = account): string => `arn:aws:iam::${owner}:role/${role}`;

const trust = (principal: object, rest: object = {}): string =>
  JSON.stringify({
    Version: '2012-10-17',
    Statement: [
      {
        Effect: 'Allow',
        Principal: principal,
        Action: ['sts:AssumeRole', 'sts:TagSession', 'sts:SetSourceIdentity'],
        ...rest,
      },
    ],
  });

async function newRoleOf(RoleName: string, AssumeRolePolicyDocument: string, policy?: string, client = iam) {
  await client.createRole({ RoleName, AssumeRolePolicyDocument });
  if (policy !== undefined) await client.putRolePolicy({ RoleName, PolicyName: 'own', PolicyDocument: policy });
}

async function assume(role: string, extra: object = {}, client = sts) {
  const { Credentials, ...rest } = await client.assumeRole({ RoleArn: role, RoleSessionName: 'one', ...extra });
  const credentials = {
    accessKeyId: Credentials!.AccessKeyId!,
    secretAccessKey: Credentials!.SecretAccessKey!,
    sessionToken: Credentials!.SessionToken!,
  };
  return { ...rest, credentials, expiration: Credentials!.Expiration!, ...clientsOf(credentials) };
}

test('a role is assumed for an hour, and its session may do what the role may', async () => {
  await newRoleOf('lister', trust({ AWS: account }), policyOf({ Action: 'kms:ListKeys' }));
  const session = await assume(arnOf('lister'));
  const arn = `arn:aws:sts::${account}:assumed-role/lister/one`;
  expect(session.AssumedRoleUser).toMatchObject({ Arn: arn });
  expect(Math.round((session.expiration.getTime() - Date.now()) / 60_000)).toBe(60);
  expect(session.credentials.sessionToken.length).toBeLessThan(1_000);
  expect(await session.sts.getCallerIdentity({})).toMatchObject({ Arn: arn, Account: account });
  await session.kms.listKeys({});
  expect(await refusalOf(session.kms.createKey({}))).toContain(
    `User: ${arn} is not authorized to perform: kms:CreateKey`,
  );
});

test('temporary credentials are taken over gRPC as well, with their token and not without', async () => {
  await newRoleOf('grpc-caller', trust({ AWS: account }), policyOf({ Action: 'kms:GenerateRandom' }));
  const { credentials } = await assume(arnOf('grpc-caller'));
  const random = async (given: typeof credentials | { accessKeyId: string; secretAccessKey: string }) => {
    using client = createKmsClient({ address: inject('cluster').grpcAddress, region: 'us-east-1', credentials: given });
    return (await client.GenerateRandom({ NumberOfBytes: 16 })).Plaintext?.length;
  };
  expect(await random(credentials)).toBe(16);
  const { sessionToken, ...withoutToken } = credentials;
  await expect(random(withoutToken)).rejects.toThrow('The security token included in the request is invalid');
  const altered = `${sessionToken.slice(0, -8)}AAAAAAAA`;
  await expect(random({ ...withoutToken, sessionToken: altered })).rejects.toThrow('The security token included');
});

test('a trust policy is needed, and where it names only the account a policy of the caller too', async () => {
  const { sts: own } = await newUserOf('assumer');
  const { sts: allowed } = await newUserOf('allowed-assumer', policyOf({ Action: 'sts:AssumeRole' }));
  await newRoleOf('by-account', trust({ AWS: account }));
  await newRoleOf('by-name', trust({ AWS: `arn:aws:iam::${account}:user/assumer` }));
  await newRoleOf('by-nobody', trust({ Service: 'logs.amazonaws.com' }));
  const refused = (name: string, who: string): string =>
    `AccessDenied: User: arn:aws:iam::${account}:user/${who} is not authorized to perform: sts:AssumeRole on resource: ${arnOf(name)}`;
  await assume(arnOf('by-name'), {}, own);
  await assume(arnOf('by-account'), {}, allowed);
  expect(await refusalOf(assume(arnOf('by-account'), {}, own))).toBe(refused('by-account', 'assumer'));
  for (const role of ['by-nobody', 'no-such-role']) {
    expect(await refusalOf(assume(arnOf(role), {}, allowed))).toBe(refused(role, 'allowed-assumer'));
  }
});

test('another account assumes a role when both sides allow it, with the external id that is asked for', async () => {
  const Condition = { StringEquals: { 'sts:ExternalId': 'secret-of-two' } };
  await newRoleOf('for-others', trust({ AWS: otherId }, { Condition }), policyOf({ Action: 'kms:*' }));
  const ours = arnOf('for-others');
  expect(await refusalOf(assume(ours, {}, other.sts))).toContain('AccessDenied');
  const session = await assume(ours, { ExternalId: 'secret-of-two' }, other.sts);
  await session.kms.listKeys({});
  await other.iam.createUser({ UserName: 'plain' });
  const { AccessKey } = await other.iam.createAccessKey({ UserName: 'plain' });
  const plain = clientsOf({ accessKeyId: AccessKey!.AccessKeyId!, secretAccessKey: AccessKey!.SecretAccessKey! });
  expect(await refusalOf(assume(ours, { ExternalId: 'secret-of-two' }, plain.sts))).toContain('AccessDenied');
});

test('session policies narrow what a session may, and tags and the source identity say who it is for', async () => {
  await newRoleOf('narrowed', trust({ AWS: account }), policyOf({ Action: 'kms:*' }));
  const Policy = policyOf({ Action: 'kms:ListKeys', Condition: { StringEquals: { 'aws:PrincipalTag/team': 'red' } } });
  const extra = { Policy, SourceIdentity: 'alice', TransitiveTagKeys: ['team'] };
  const red = await assume(arnOf('narrowed'), { ...extra, Tags: [{ Key: 'team', Value: 'red' }] });
  expect(red).toMatchObject({ SourceIdentity: 'alice' });
  expect(red.PackedPolicySize).toBeGreaterThan(0);
  await red.kms.listKeys({});
  expect(await refusalOf(red.kms.createKey({}))).toContain('because no session policy allows the kms:CreateKey action');
  const blue = await assume(arnOf('narrowed'), { ...extra, Tags: [{ Key: 'team', Value: 'blue' }] });
  expect(await refusalOf(blue.kms.listKeys({}))).toContain('no session policy allows');
  expect(
    await refusalOf(assume(arnOf('narrowed'), { Policy: policyOf({ Action: 'kms:*', Sid: 'a'.repeat(2048) }) })),
  ).toContain('PackedPolicyTooLarge');
});

test("a role's older sessions are revoked by policy, and all of them when the role is deleted", async () => {
  const RoleName = 'revocable';
  await newRoleOf(RoleName, trust({ AWS: account }), policyOf({ Action: 'kms:*' }));
  const before = await assume(arnOf(RoleName));
  await before.kms.listKeys({});
  const aws = { 'aws:TokenIssueTime': new Date(Date.now() + 1_000).toISOString() };
  const revoking = policyOf({ Effect: 'Deny', Action: '*', Condition: { DateLessThan: aws } });
  await iam.putRolePolicy({ RoleName, PolicyName: 'AWSRevokeOlderSessions', PolicyDocument: revoking });
  expect(await refusalOf(before.kms.listKeys({}))).toContain('with an explicit deny in an identity-based policy');
  for (const PolicyName of ['AWSRevokeOlderSessions', 'own']) await iam.deleteRolePolicy({ RoleName, PolicyName });
  await iam.deleteRole({ RoleName });
  expect(await refusalOf(before.kms.listKeys({}))).toBe(
    'UnrecognizedClientException: The security token included in the request is invalid',
  );
});

test('a token that was altered, is of other credentials or of nobody opens nothing', async () => {
  await newRoleOf('token-owner', trust({ AWS: account }), policyOf({ Action: 'kms:*' }));
  const [one, two] = [await assume(arnOf('token-owner')), await assume(arnOf('token-owner'))];
  const { sessionToken } = one.credentials;
  const at = sessionToken.length >> 1;
  const altered = sessionToken.slice(0, at) + (sessionToken[at] === 'A' ? 'B' : 'A') + sessionToken.slice(at + 1);
  for (const token of [
    altered,
    two.credentials.sessionToken,
    sessionToken.slice(4),
    `${sessionToken}AAAA`,
    'AAAA',
    'junk',
  ]) {
    const using = clientsOf({ ...one.credentials, sessionToken: token });
    expect(await refusalOf(using.kms.listKeys({}))).toBe(
      'UnrecognizedClientException: The security token included in the request is invalid',
    );
    expect(await refusalOf(using.sts.getCallerIdentity({}))).toContain('InvalidClientTokenId');
  }
  const { accessKeyId, secretAccessKey } = one.credentials;
  expect(await refusalOf(clientsOf({ accessKeyId, secretAccessKey }).kms.listKeys({}))).toBe(
    'UnrecognizedClientException: The security token included in the request is invalid.',
  );
  await one.kms.listKeys({});
});

test('a user gets temporary credentials of its own', async () => {
  const { sts: own } = await newUserOf('temporary', policyOf({ Action: ['kms:ListKeys', 'iam:*'] }));
  const { Credentials } = await own.getSessionToken({ DurationSeconds: 900 });
  const session = clientsOf({
    accessKeyId: Credentials!.AccessKeyId!,
    secretAccessKey: Credentials!.SecretAccessKey!,
    sessionToken: Credentials!.SessionToken!,
  });
  expect(await session.sts.getCallerIdentity({})).toMatchObject({ Arn: `arn:aws:iam::${account}:user/temporary` });
  await session.kms.listKeys({});
  expect(await refusalOf(session.sts.getSessionToken({}))).toContain('AccessDenied');
  // Or whoever finds them would have an access key that does not expire.
  const refused = 'InvalidClientTokenId: The security token included in the request is invalid';
  expect(await refusalOf(session.iam.createAccessKey({}))).toBe(refused);
  expect(await refusalOf(session.iam.listUsers({}))).toBe(refused);
});

test('an access key tells its account, and no message is there to decode', async () => {
  const { accessKeyId: AccessKeyId, sts: own } = await newUserOf('key-asker');
  expect((await sts.getAccessKeyInfo({ AccessKeyId })).Account).toBe(account);
  expect((await sts.getAccessKeyInfo({ AccessKeyId: otherCredentials.accessKeyId })).Account).toBe(otherId);
  expect(await refusalOf(own.getAccessKeyInfo({ AccessKeyId }))).toContain('AccessDenied');
  expect(await refusalOf(sts.getAccessKeyInfo({ AccessKeyId: 'AKIANOBODYHASTHISKEY' }))).toContain('ValidationError');
  expect(await refusalOf(sts.decodeAuthorizationMessage({ EncodedMessage: 'abc' }))).toContain(
    'InvalidAuthorizationMessage',
  );
});

test('a key policy may name a role, and lets its sessions in', async () => {
  await newRoleOf('key-user', trust({ AWS: account }));
  const Policy = policyOf(
    { Action: 'kms:*', Principal: { AWS: account } },
    { Action: 'kms:Encrypt', Principal: { AWS: arnOf('key-user') } },
  );
  const { KeyMetadata } = await kms.createKey({ Policy });
  const session = await assume(arnOf('key-user'));
  await session.kms.encrypt({ KeyId: KeyMetadata!.KeyId!, Plaintext: Buffer.from('x') });
});

test('roles are what they were made as, and a bad trust policy is refused', async () => {
  const AssumeRolePolicyDocument = trust({ AWS: account });
  const { Role } = await iam.createRole({
    RoleName: 'shown',
    Path: '/p/',
    AssumeRolePolicyDocument,
    Description: 'd',
    MaxSessionDuration: 7200,
    Tags: [{ Key: 'a', Value: 'b' }],
  });
  expect((await iam.getRole({ RoleName: 'shown' })).Role).toEqual(Role);
  expect(Role).toMatchObject({
    Arn: arnOf('p/shown'),
    MaxSessionDuration: 7200,
    Description: 'd',
    Tags: [{ Key: 'a', Value: 'b' }],
  });
  expect(decodeURIComponent(Role!.AssumeRolePolicyDocument!)).toBe(AssumeRolePolicyDocument);
  for (const bad of [
    '{',
    policyOf({ Action: 'sts:AssumeRole' }),
    trust({ AWS: account }, { Action: 'kms:*' }),
    trust({ AWS: account }, { Resource: '*' }),
    trust({ AWS: 'nobody' }),
  ]) {
    const put = iam.updateAssumeRolePolicy({ RoleName: 'shown', PolicyDocument: bad });
    expect(await refusalOf(put)).toContain('MalformedPolicyDocument');
  }
  await assume(arnOf('p/shown'), { DurationSeconds: 7200 });
  expect(await refusalOf(assume(arnOf('p/shown'), { DurationSeconds: 7201 }))).toContain(
    'exceeds the MaxSessionDuration',
  );
});

test("a pod's projected token becomes credentials of the role that trusts its service account", async () => {
  const host = 'kubernetes.example.com/cluster';
  const Statement = {
    Effect: 'Allow',
    Principal: { Federated: `arn:aws:iam::${account}:oidc-provider/${host}` },
    Action: 'sts:AssumeRoleWithWebIdentity',
    Condition: {
      StringEquals: { [`${host}:sub`]: 'system:serviceaccount:shop:web', [`${host}:aud`]: 'sts.amazonaws.com' },
    },
  };
  await newRoleOf('web', JSON.stringify({ Version: '2012-10-17', Statement }), policyOf({ Action: 'kms:ListKeys' }));
  const tokenOf = async (sub: string, claims: object = {}) =>
    new SignJWT({ sub, ...claims })
      .setProtectedHeader({ alg: 'ES256', kid: 'one' })
      .setIssuer(oidc.issuer)
      .setAudience('sts.amazonaws.com')
      .setIssuedAt()
      .setExpirationTime('10m')
      .sign(await importPKCS8(oidc.signingKey, 'ES256'));
  const unsigned = new STS({ endpoint: otherEndpoint, region: 'us-east-1', maxAttempts: 1 });
  const request = { RoleArn: arnOf('web'), RoleSessionName: 'pod' };
  const WebIdentityToken = await tokenOf('system:serviceaccount:shop:web');
  const answer = await unsigned.assumeRoleWithWebIdentity({ ...request, WebIdentityToken });
  expect(answer).toMatchObject({
    SubjectFromWebIdentityToken: 'system:serviceaccount:shop:web',
    Audience: 'sts.amazonaws.com',
  });
  const { AccessKeyId, SecretAccessKey, SessionToken } = answer.Credentials!;
  const session = clientsOf({
    accessKeyId: AccessKeyId!,
    secretAccessKey: SecretAccessKey!,
    sessionToken: SessionToken!,
  });
  await session.kms.listKeys({});

  const refused = 'AccessDenied: Not authorized to perform sts:AssumeRoleWithWebIdentity';
  const elsewhere = await tokenOf('system:serviceaccount:shop:other');
  expect(await refusalOf(unsigned.assumeRoleWithWebIdentity({ ...request, WebIdentityToken: elsewhere }))).toBe(
    refused,
  );
  // Names of claims have a case, names of condition keys have none: of two nobody can say which is meant.
  const twofold = await tokenOf('system:serviceaccount:shop:other', { SUB: 'system:serviceaccount:shop:web' });
  expect(await refusalOf(unsigned.assumeRoleWithWebIdentity({ ...request, WebIdentityToken: twofold }))).toBe(refused);
  const missing = { ...request, RoleArn: arnOf('no-such-role'), WebIdentityToken };
  expect(await refusalOf(unsigned.assumeRoleWithWebIdentity(missing))).toBe(refused);
  // A role for principals of AWS is none for this.
  expect(await refusalOf(unsigned.assumeRoleWithWebIdentity({ ...missing, RoleArn: arnOf('lister') }))).toBe(refused);
  expect(await refusalOf(unsigned.assumeRoleWithWebIdentity({ ...request, WebIdentityToken: 'a.b.c' }))).toContain(
    'InvalidIdentityToken',
  );
  expect(await refusalOf(assume(arnOf('web')))).toContain('AccessDenied');
});
