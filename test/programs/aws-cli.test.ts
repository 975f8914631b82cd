import { mkdtempDisposable, readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { KeyMetadata } from '@aws-sdk/client-kms';
import { type KeySpecRow, keySpecs } from '@keyfleet/shared/key-specs';
import { execa } from 'execa';
import { expect, inject, test } from 'vitest';
import { awsEnvironment } from './environment.ts';

const { aws } = inject('programs');
const { endpoint } = inject('cluster');

async function kms(...args: string[]): Promise<Record<string, unknown>> {
  // --endpoint-url is what every version understands.
  const all = ['--endpoint-url', endpoint, '--output', 'json', 'kms', ...args];
  const { stdout } = await execa(aws!, all, { env: awsEnvironment() });
  return stdout === '' ? {} : (JSON.parse(stdout) as Record<string, unknown>);
}

const specs = Object.entries<KeySpecRow>(keySpecs).filter(([, { kind }]) => kind !== 'sm2');

test.runIf(aws).concurrent.each(specs)('aws kms create-key makes a key of %s', async (spec, { usages }) => {
  const usage = Object.keys(usages)[0]!;
  const made = await kms('create-key', '--key-spec', spec, '--key-usage', usage, '--description', 'by the AWS CLI');
  expect(made['KeyMetadata']).toMatchObject({
    KeySpec: spec,
    KeyUsage: usage,
    KeyState: 'Enabled',
    Description: 'by the AWS CLI',
  });
});

test.runIf(aws)('aws kms encrypts a file by alias, and decrypts it in its context alone', async () => {
  await using folder = await mkdtempDisposable(join(tmpdir(), 'keyfleet-aws-cli-'));
  const [plain, sealed] = ['plain', 'sealed'].map((name) => join(folder.path, name)) as [string, string];
  await writeFile(plain, 'attack at dawn');
  const { KeyMetadata } = (await kms('create-key', '--tags', 'TagKey=for,TagValue=cli')) as {
    KeyMetadata: KeyMetadata;
  };
  expect(await kms('describe-key', '--key-id', KeyMetadata.Arn!)).toEqual({ KeyMetadata });
  await kms('create-alias', '--alias-name', 'alias/cli', '--target-key-id', KeyMetadata.KeyId!);
  const context = ['--encryption-context', 'purpose=test,stage=night'];
  const encrypted = await kms('encrypt', '--key-id', 'alias/cli', '--plaintext', `fileb://${plain}`, ...context);
  expect(encrypted).toMatchObject({ KeyId: KeyMetadata.Arn, EncryptionAlgorithm: 'SYMMETRIC_DEFAULT' });

  await writeFile(sealed, Buffer.from(encrypted['CiphertextBlob'] as string, 'base64'));
  const decrypted = await kms('decrypt', '--ciphertext-blob', `fileb://${sealed}`, ...context);
  expect(Buffer.from(decrypted['Plaintext'] as string, 'base64')).toEqual(await readFile(plain));
  await expect(kms('decrypt', '--ciphertext-blob', `fileb://${sealed}`)).rejects.toMatchObject({
    stderr: expect.stringContaining('(InvalidCiphertextException) when calling the Decrypt operation') as unknown,
  });
});

test.runIf(aws)('aws sts get-caller-identity says who the administrator is', async () => {
  const all = ['--endpoint-url', endpoint, '--output', 'json', 'sts', 'get-caller-identity'];
  const { stdout } = await execa(aws!, all, { env: awsEnvironment() });
  expect(JSON.parse(stdout)).toMatchObject({
    Account: '000000000000',
    Arn: expect.stringMatching(/^arn:aws:iam::000000000000:user\//) as unknown,
  });
});

test.runIf(aws)('aws iam makes a user and a role, and aws sts a session of the role for the user', async () => {
  const run = async (service: string, args: readonly string[], env: Record<string, string> = {}) => {
    const all = ['--endpoint-url', endpoint, '--output', 'json', service, ...args];
    const { stdout } = await execa(aws!, all, { env: { ...awsEnvironment(), ...env } });
    return (stdout === '' ? {} : JSON.parse(stdout)) as Record<string, Record<string, string>>;
  };
  const user = ['--user-name', 'cli-user'];
  const allowing = (Action: string, rest: object = { Resource: '*' }): string =>
    JSON.stringify({ Version: '2012-10-17', Statement: [{ Effect: 'Allow', Action, ...rest }] });
  await run('iam', ['create-user', ...user, '--tags', 'Key=team,Value=red']);
  const own = ['--policy-name', 'own', '--policy-document', allowing('sts:AssumeRole')];
  await run('iam', ['put-user-policy', ...user, ...own]);
  const { AccessKey } = await run('iam', ['create-access-key', ...user]);
  const trust = allowing('sts:AssumeRole', { Principal: { AWS: '000000000000' } });
  const role = ['--role-name', 'cli-role'];
  await run('iam', ['create-role', ...role, '--assume-role-policy-document', trust]);
  await run('iam', ['attach-role-policy', ...role, '--policy-arn', 'arn:aws:iam::aws:policy/AdministratorAccess']);
  // The CLI takes documents as IAM answers them, and shows them as JSON.
  const { Role } = await run('iam', ['get-role', ...role]);
  expect(Role!['AssumeRolePolicyDocument']).toEqual(JSON.parse(trust));

  const environmentOf = (keys: Record<string, string>) => ({
    AWS_ACCESS_KEY_ID: keys['AccessKeyId']!,
    AWS_SECRET_ACCESS_KEY: keys['SecretAccessKey']!,
    ...(keys['SessionToken'] !== undefined && { AWS_SESSION_TOKEN: keys['SessionToken'] }),
  });
  const asUser = environmentOf(AccessKey!);
  const assume = ['assume-role', '--role-arn', 'arn:aws:iam::000000000000:role/cli-role', '--role-session-name', 'cli'];
  const { Credentials } = await run('sts', assume, asUser);
  const asRole = environmentOf(Credentials!);
  expect(await run('sts', ['get-caller-identity'], asRole)).toMatchObject({
    Arn: 'arn:aws:sts::000000000000:assumed-role/cli-role/cli',
  });
  await run('kms', ['list-keys'], asRole);
  await expect(run('kms', ['list-keys'], asUser)).rejects.toMatchObject({
    stderr: expect.stringContaining('AccessDeniedException') as unknown,
  });
  await expect(run('iam', ['delete-user', ...user])).rejects.toMatchObject({
    stderr: expect.stringContaining('(DeleteConflict) when calling the DeleteUser operation') as unknown,
  });
});

test.runIf(aws).each([
  ['SHA_256', 'sha256'],
  ['SHA_1', 'sha1'],
] as const)('the recipes of docs/import.md import what openssl made, with %s', async (hash, md) => {
  await using folder = await mkdtempDisposable(join(tmpdir(), 'keyfleet-import-'));
  const document = await readFile(join(import.meta.dirname, '../../docs/import.md'), 'utf8');
  const [, ...recipes] = document.split(/^### /m);
  expect(recipes).toHaveLength(2);
  const env = { ...awsEnvironment(), AWS_ENDPOINT_URL: endpoint };
  const say = 'aws kms describe-key --key-id $KEY --query KeyMetadata.[KeyState,ExpirationModel] --output text';
  for (const recipe of recipes) {
    const commands = [...recipe.matchAll(/^```sh\n(.*?)^```/gms)].map(([, block]) => block).join('');
    const script = commands.replaceAll('SHA_256', hash).replaceAll('sha256', md);
    const { stdout } = await execa('sh', ['-euc', `${script}${say}`], { env, cwd: folder.path });
    expect(stdout).toMatch(/Enabled\tKEY_MATERIAL_DOES_NOT_EXPIRE$/);
  }
});
