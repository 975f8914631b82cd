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
