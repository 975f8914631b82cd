import {
  runCommand,
  testAccount,
  testContext,
  testDomainKey,
  testKeyring,
} from '@keyfleet/test-support/command-context';
import { expect, test } from 'vitest';
import { Cluster, type Login } from '../pkcs11/cluster.ts';

const names = { clusterId: 'cluster-1', account: testAccount, region: 'us-east-1' };

class RecordingCluster extends Cluster {
  readonly ids: string[] = [];
  override async connect({ id }: Login): Promise<void> {
    this.ids.push(id);
  }
}

test('a password is one login, however often it was resealed, and another password is another', async () => {
  const cluster = new RecordingCluster({
    accountId: testAccount,
    region: names.region,
    trustAnchor: Buffer.of(),
    module: 'none',
    token: { label: 'none' },
    environment: {},
    sessions: 1,
    timeoutMs: 1_000,
  });
  const clusters = new Map([[names.clusterId, cluster]]);
  const [before, after] = [testDomainKey('1'), testDomainKey('2')];
  const context = testContext({ clusters, keyring: testKeyring({ active: before }) });
  const rotated = testContext({ clusters, keyring: testKeyring({ active: after, deactivated: [before] }) });
  const sealed = async (password: string) => {
    const owner = { accessKeyId: names.clusterId, principal: 'store-1' };
    const secretAccessKey = Buffer.from(password);
    return (await runCommand('SealCredential', { ...owner, secretAccessKey }, context)).token;
  };
  const connect = (token: Uint8Array) =>
    runCommand('ConnectCluster', { ...names, principal: 'store-1', token }, rotated);
  const token = await sealed('a password');
  await connect(token);
  await connect((await runCommand('ResealToken', { token }, rotated)).token);
  await connect(await sealed('another one'));
  const [first, resealed, other] = cluster.ids;
  expect(resealed).toBe(first);
  expect(other).not.toBe(first);
});
