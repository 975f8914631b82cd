import { IAM } from '@aws-sdk/client-iam';
import { STS } from '@aws-sdk/client-sts';
import { cliOptionsOf, runKeyfleet } from '@keyfleet/test-support/cli';
import { startTestCluster } from '@keyfleet/test-support/cluster';
import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { expect, test } from 'vitest';

test('an operator begins a second account, once, and its administrator works at once', async () => {
  await using cluster = await startTestCluster();
  const { home, endpoint } = cluster;
  const { domain, redis, host } = cliOptionsOf(cluster);
  const create = (account: string, out: string) =>
    runKeyfleet(
      'account',
      'create',
      '--account',
      account,
      '--user',
      'root-of-two',
      '--out',
      out,
      ...domain,
      ...redis,
      ...host,
    );
  const file = home.in('second', 'credentials');
  expect(await create('222222222222', file)).toEqual({
    exitCode: 0,
    notes: '',
    out: `account 222222222222 has its first administrator, arn:aws:iam::222222222222:user/root-of-two; the credentials are in ${file}, and nowhere else.`,
  });
  expect(statSync(file).mode & 0o777).toBe(0o600);
  const [, accessKeyId = ''] = /^aws_access_key_id = (\S+)$/m.exec(readFileSync(file, 'utf8')) ?? [];
  const [, secretAccessKey = ''] = /^aws_secret_access_key = (\S+)$/m.exec(readFileSync(file, 'utf8')) ?? [];
  const settings = { endpoint, credentials: { accessKeyId, secretAccessKey }, region: 'us-east-1', maxAttempts: 1 };
  expect((await new STS(settings).getCallerIdentity({})).Account).toBe('222222222222');
  await new IAM(settings).createUser({ UserName: 'app' });

  const again = await create('222222222222', home.in('third'));
  expect(again.notes).toContain('account 222222222222 already exists');
  expect((await create('333333333333', file)).notes).toContain('the file already exists');
  expect((await create('3', home.in('third'))).notes).toContain('--account must be 12 digits');
  expect(() => statSync(home.in('third'))).toThrow('ENOENT');
});

test('IAM and STS have rates of their own, which each refuses in its own words', async () => {
  await using cluster = await startTestCluster({ workers: 1 });
  const file = cluster.home.in('config', 'frontend.json');
  const config = JSON.parse(readFileSync(file, 'utf8')) as object;
  const requestQuotas = { perSecond: { Sts: 5, IamRead: 5, IamWrite: 1 } };
  await cluster.kill('frontend');
  writeFileSync(file, JSON.stringify({ ...config, requestQuotas }));
  await cluster.restart('frontend');
  const { endpoint, credentials } = cluster;
  const settings = { endpoint, credentials, region: 'us-east-1', maxAttempts: 1 };
  const [iam, sts] = [new IAM(settings), new STS(settings)];
  const refusals = async (count: number, request: () => Promise<unknown>) => {
    const outcomes = await Promise.all(Array.from({ length: count }, () => request().then(() => undefined, String)));
    return new Set(outcomes.filter((outcome) => outcome !== undefined));
  };
  const throttled = new Set(['Throttling: Rate exceeded']);
  expect(await refusals(40, () => sts.getCallerIdentity({}))).toEqual(throttled);
  expect(await refusals(40, () => iam.listUsers({}))).toEqual(throttled);
  expect(await refusals(20, () => iam.createGroup({ GroupName: `${Math.random()}` }))).toEqual(throttled);
  // An SDK waits and tries again.
  await new STS({ ...settings, maxAttempts: 10 }).getCallerIdentity({});
});
