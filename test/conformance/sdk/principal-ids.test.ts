import { clientsOf, newUserOf } from '@keyfleet/test-support/iam-client';
import { refusalOf } from '@keyfleet/test-support/sdk-client';
import { expect, test } from 'vitest';

const { iam, kms, sts } = clientsOf();
const account = '000000000000';
const admin = `arn:aws:iam::${account}:user/admin`;
const userArn = (name: string): string => `arn:aws:iam::${account}:user/${name}`;
const Plaintext = Buffer.from('hello');

/** Makes the user anew: the name is the same, and nothing else. */
async function madeAgain(UserName: string) {
  const { AccessKeyMetadata } = await iam.listAccessKeys({ UserName });
  for (const { AccessKeyId } of AccessKeyMetadata!) await iam.deleteAccessKey({ UserName, AccessKeyId });
  await iam.deleteUser({ UserName });
  return newUserOf(UserName);
}

function keyPolicy(...users: string[]): string {
  const whole = { Effect: 'Allow', Principal: { AWS: admin }, Action: 'kms:*', Resource: '*' };
  const some = { Effect: 'Allow', Principal: { AWS: users.map(userArn) }, Action: 'kms:Encrypt', Resource: '*' };
  return JSON.stringify({ Version: '2012-10-17', Statement: users.length > 0 ? [whole, some] : [whole] });
}

test('a key policy lets in whom it named, and who is made again under the name only once it is put again', async () => {
  const first = await newUserOf('again');
  const { UserId } = (await iam.getUser({ UserName: 'again' })).User!;
  const Policy = keyPolicy('again');
  const { KeyMetadata } = await kms.createKey({ Policy });
  const KeyId = KeyMetadata!.KeyId!;
  await first.kms.encrypt({ KeyId, Plaintext });
  expect((await kms.getKeyPolicy({ KeyId })).Policy).toBe(Policy);

  const second = await madeAgain('again');
  expect(await refusalOf(second.kms.encrypt({ KeyId, Plaintext }))).toContain('no resource-based policy allows');
  expect((await kms.getKeyPolicy({ KeyId })).Policy).toBe(Policy.replace(userArn('again'), UserId!));
  await kms.putKeyPolicy({ KeyId, Policy });
  await second.kms.encrypt({ KeyId, Plaintext });
  expect((await kms.getKeyPolicy({ KeyId })).Policy).toBe(Policy);
});

test('a key policy follows a user to a new name', async () => {
  const user = await newUserOf('before');
  const { KeyMetadata } = await kms.createKey({ Policy: keyPolicy('before') });
  const KeyId = KeyMetadata!.KeyId!;
  await iam.updateUser({ UserName: 'before', NewUserName: 'after' });
  await user.kms.encrypt({ KeyId, Plaintext });
  const { kms: impostor } = await newUserOf('before');
  expect(await refusalOf(impostor.encrypt({ KeyId, Plaintext }))).toContain('no resource-based policy allows');
});

test('a grant is for whom it was made, and not for who is made again under the name', async () => {
  const first = await newUserOf('granted');
  const { UserId } = (await iam.getUser({ UserName: 'granted' })).User!;
  const { KeyMetadata } = await kms.createKey({ Policy: keyPolicy() });
  const KeyId = KeyMetadata!.KeyId!;
  const input = { KeyId, GranteePrincipal: userArn('granted'), Operations: ['Encrypt' as const], Name: 'one' };
  const { GrantId, GrantToken } = await kms.createGrant(input);
  await first.kms.encrypt({ KeyId, Plaintext });

  const second = await madeAgain('granted');
  expect(await refusalOf(second.kms.encrypt({ KeyId, Plaintext }))).toContain('AccessDenied');
  const withToken = second.kms.encrypt({ KeyId, Plaintext, GrantTokens: [GrantToken!] });
  expect(await refusalOf(withToken)).toContain('AccessDenied');
  expect((await kms.listGrants({ KeyId })).Grants).toMatchObject([{ GrantId, GranteePrincipal: UserId }]);
  await kms.createGrant(input);
  await second.kms.encrypt({ KeyId, Plaintext });
});

test('a trust policy trusts whom it named, and shows who is gone by unique id', async () => {
  const RoleName = 'trusts-one';
  const RoleArn = `arn:aws:iam::${account}:role/${RoleName}`;
  const trust = (name: string): string =>
    JSON.stringify({ Statement: [{ Effect: 'Allow', Principal: { AWS: userArn(name) }, Action: 'sts:AssumeRole' }] });
  const created = iam.createRole({ RoleName, AssumeRolePolicyDocument: trust('not-there') });
  expect(await refusalOf(created)).toBe(
    `MalformedPolicyDocumentException: Invalid principal in policy: "AWS":"${userArn('not-there')}"`,
  );

  const first = await newUserOf('trusted');
  const { UserId } = (await iam.getUser({ UserName: 'trusted' })).User!;
  await iam.createRole({ RoleName, AssumeRolePolicyDocument: trust('trusted') });
  const shown = async (): Promise<string> =>
    decodeURIComponent((await iam.getRole({ RoleName })).Role!.AssumeRolePolicyDocument!);
  await first.sts.assumeRole({ RoleArn, RoleSessionName: 'one' });
  expect(await shown()).toBe(trust('trusted'));

  const second = await madeAgain('trusted');
  const refused = await refusalOf(second.sts.assumeRole({ RoleArn, RoleSessionName: 'one' }));
  expect(refused).toContain('is not authorized to perform: sts:AssumeRole');
  expect(await shown()).toBe(trust('trusted').replace(userArn('trusted'), UserId!));
  await iam.updateAssumeRolePolicy({ RoleName, PolicyDocument: trust('trusted') });
  await second.sts.assumeRole({ RoleArn, RoleSessionName: 'one' });
});

test('a role that is made again is another to key policies and grants, and so are its sessions', async () => {
  const RoleName = 'role-again';
  const RoleArn = `arn:aws:iam::${account}:role/${RoleName}`;
  const trust = { Statement: [{ Effect: 'Allow', Principal: { AWS: admin }, Action: 'sts:AssumeRole' }] };
  const makeRole = () => iam.createRole({ RoleName, AssumeRolePolicyDocument: JSON.stringify(trust) });
  const session = async () => {
    const { Credentials } = await sts.assumeRole({ RoleArn, RoleSessionName: 'one' });
    const { AccessKeyId: accessKeyId, SecretAccessKey: secretAccessKey, SessionToken: sessionToken } = Credentials!;
    return clientsOf({ accessKeyId: accessKeyId!, secretAccessKey: secretAccessKey!, sessionToken: sessionToken! }).kms;
  };
  await makeRole();
  const sessionArn = `arn:aws:sts::${account}:assumed-role/${RoleName}/one`;
  const named = [RoleArn, sessionArn].map((AWS) => ({ Effect: 'Allow', Principal: { AWS }, Resource: '*' }));
  const Statement = [
    { Effect: 'Allow', Principal: { AWS: admin }, Action: 'kms:*', Resource: '*' },
    { ...named[0], Action: 'kms:Encrypt' },
    { ...named[1], Action: 'kms:DescribeKey' },
  ];
  const { KeyMetadata } = await kms.createKey({ Policy: JSON.stringify({ Version: '2012-10-17', Statement }) });
  const KeyId = KeyMetadata!.KeyId!;
  await kms.createGrant({ KeyId, GranteePrincipal: RoleArn, Operations: ['GenerateDataKey'] });
  const first = await session();
  await first.encrypt({ KeyId, Plaintext });
  await first.describeKey({ KeyId });
  await first.generateDataKey({ KeyId, KeySpec: 'AES_256' });

  await iam.deleteRole({ RoleName });
  await makeRole();
  const second = await session();
  for (const call of [
    () => second.encrypt({ KeyId, Plaintext }),
    () => second.describeKey({ KeyId }),
    () => second.generateDataKey({ KeyId, KeySpec: 'AES_256' }),
  ]) {
    expect(await refusalOf(call())).toContain('AccessDeniedException');
  }
});
