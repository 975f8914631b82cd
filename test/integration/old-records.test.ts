import { IAM } from '@aws-sdk/client-iam';
import {
  CreateGrantCommand,
  CreateKeyCommand,
  DescribeKeyCommand,
  DisableKeyCommand,
  RevokeGrantCommand,
} from '@aws-sdk/client-kms';
import { kmsClient } from '@keyfleet/test-support/aws-client';
import { startTestCluster, type TestCluster } from '@keyfleet/test-support/cluster';
import { redisOf } from '@keyfleet/test-support/stored-tokens';
import type { Redis } from 'ioredis';
import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, expect, test } from 'vitest';

// The attacker writes into Redis, and has copies of what lay there before. Every copy is authentic; it is only old.
let cluster: TestCluster;
let redis: Redis;
const resources = new AsyncDisposableStack();
beforeAll(async () => {
  cluster = resources.use(await startTestCluster({ workers: 1 }));
  redis = resources.adopt(redisOf(cluster), (client) => client.disconnect());
});
afterAll(() => resources.disposeAsync());

const newKms = (credentials = cluster.credentials) =>
  resources.adopt(kmsClient(cluster, { credentials }), (c) => c.destroy());
const newIam = () =>
  new IAM({ endpoint: cluster.endpoint, credentials: cluster.credentials, region: 'us-east-1', maxAttempts: 1 });
const ACCOUNT = '000000000000';

/** What a call is answered. The frontend hears of what was written into Redis a moment later. */
const answerTo = (call: Promise<unknown>) =>
  call.then(
    () => 'done',
    ({ name, message }: Error) => `${name}: ${message}`,
  );

/** Every value of Redis with one of these names, as it is now; answers what puts it back. */
async function copyOf(...names: string[]): Promise<() => Promise<void>> {
  const dumps = await Promise.all(names.map(async (name) => [name, await redis.dumpBuffer(name)] as const));
  return async () => {
    for (const [name, dump] of dumps) {
      if (dump === null) await redis.del(name);
      else await redis.restore(name, 0, dump, 'REPLACE');
    }
    await redis.publish('kf:changes', `iam ${ACCOUNT}`);
  };
}

test('a key that was disabled stays it, whatever is put back', async () => {
  const kms = newKms();
  const KeyId = (await kms.send(new CreateKeyCommand({}))).KeyMetadata!.KeyId!;
  const putBack = await copyOf(`kf:key:{us-east-1/${KeyId}}`);
  await kms.send(new DisableKeyCommand({ KeyId }));
  await putBack();
  await redis.publish('kf:changes', `key us-east-1/${KeyId}`);
  await expect.poll(() => answerTo(kms.send(new DescribeKeyCommand({ KeyId })))).toContain('KMSInternalException');
});

test('a grant that was revoked is none, whatever is put back', async () => {
  const kms = newKms();
  const iam = newIam();
  const { User } = await iam.createUser({ UserName: 'grantee' });
  const { AccessKey } = await iam.createAccessKey({ UserName: 'grantee' });
  const grantee = newKms({ accessKeyId: AccessKey!.AccessKeyId!, secretAccessKey: AccessKey!.SecretAccessKey! });
  const KeyId = (await kms.send(new CreateKeyCommand({}))).KeyMetadata!.KeyId!;
  const given = { KeyId, GranteePrincipal: User!.Arn!, Operations: ['DescribeKey'] as 'DescribeKey'[] };
  const { GrantId } = await kms.send(new CreateGrantCommand(given));
  const arn = (
    await grantee.send(
      new DescribeKeyCommand({ KeyId: (await kms.send(new DescribeKeyCommand({ KeyId }))).KeyMetadata!.Arn! }),
    )
  ).KeyMetadata!.Arn!;
  const tag = `{us-east-1/${KeyId}}`;
  const putBack = await copyOf(`kf:grants:${tag}`, `kf:grant-index:${tag}`);
  await kms.send(new RevokeGrantCommand({ KeyId, GrantId }));
  await expect(grantee.send(new DescribeKeyCommand({ KeyId: arn }))).rejects.toThrow('not authorized');
  await putBack();
  await redis.publish('kf:changes', `grants us-east-1/${KeyId} ${User!.Arn!}`);
  const ask = () => answerTo(grantee.send(new DescribeKeyCommand({ KeyId: arn })));
  const log = () => readFileSync(cluster.home.in('log', 'frontend.log'), 'utf8');
  const saysSo = async () => ((await ask()).startsWith('AccessDenied') ? log() : 'allowed');
  await expect.poll(saysSo).toContain('a grant in Redis is none that a frontend wrote');
  expect(log()).toContain(GrantId);
  expect(await ask()).toContain('AccessDenied');
});

test('an access key that was deleted, a policy that was narrowed and a user that was deleted do not come back', async () => {
  const iam = newIam();
  await iam.createUser({ UserName: 'mallory' });
  await iam.putUserPolicy({
    UserName: 'mallory',
    PolicyName: 'all',
    PolicyDocument: JSON.stringify({
      Version: '2012-10-17',
      Statement: { Effect: 'Allow', Action: '*', Resource: '*' },
    }),
  });
  const { AccessKey } = await iam.createAccessKey({ UserName: 'mallory' });
  const kms = newKms({ accessKeyId: AccessKey!.AccessKeyId!, secretAccessKey: AccessKey!.SecretAccessKey! });
  await kms.send(new CreateKeyCommand({}));
  const putBack = await copyOf(
    ...['iam', 'iam-names', 'iam-links'].map((kind) => `kf:${kind}:{${ACCOUNT}}`),
    `kf:access-key:{${AccessKey!.AccessKeyId!}}`,
  );
  const expectRefused = async () => {
    await putBack();
    await expect(kms.send(new CreateKeyCommand({}))).rejects.toThrow();
  };
  await iam.deleteUserPolicy({ UserName: 'mallory', PolicyName: 'all' });
  const narrowed = await copyOf(`kf:iam:{${ACCOUNT}}`, `kf:iam-names:{${ACCOUNT}}`, `kf:iam-links:{${ACCOUNT}}`);
  await expectRefused();
  await narrowed();
  await iam.deleteAccessKey({ UserName: 'mallory', AccessKeyId: AccessKey!.AccessKeyId! });
  const keyless = await copyOf(`kf:iam:{${ACCOUNT}}`, `kf:iam-names:{${ACCOUNT}}`, `kf:iam-links:{${ACCOUNT}}`);
  await expectRefused();
  await keyless();
  await iam.deleteUser({ UserName: 'mallory' });
  await expectRefused();
});

test('the first administrator whose record is removed does not come back with the policy that the account began with', async () => {
  const kms = newKms();
  await kms.send(new CreateKeyCommand({}));
  const [accessKey, iamBefore] = [`kf:access-key:{${cluster.credentials.accessKeyId}}`, `kf:iam:{${ACCOUNT}}`];
  expect(await redis.get(accessKey)).toContain('"policies":[]');
  const putBack = await copyOf(iamBefore, `kf:iam-links:{${ACCOUNT}}`);
  await redis.del(iamBefore, `kf:iam-links:{${ACCOUNT}}`, `kf:iam-names:{${ACCOUNT}}`);
  await redis.publish('kf:changes', `iam ${ACCOUNT}`);
  await expect.poll(() => answerTo(kms.send(new CreateKeyCommand({})))).toContain('security token');
  await putBack();
  await expect.poll(() => answerTo(kms.send(new CreateKeyCommand({})))).toBe('done');
});
