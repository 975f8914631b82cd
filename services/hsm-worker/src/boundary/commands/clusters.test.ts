import {
  runCommand,
  testAccount,
  testContext,
  testDomainKey,
  testKeyring,
} from '@keyfleet/test-support/command-context';
import { newKeyId } from '@keyfleet/shared/ids';
import { expect, test } from 'vitest';
import { Cluster, type Login } from '../pkcs11/cluster.ts';
import type { TokenWork } from '../pkcs11/token-process-main.ts';
import type { CommandContext } from './command.ts';

const names = { clusterId: 'cluster-1', account: testAccount, region: 'us-east-1' };

class RecordingCluster extends Cluster {
  readonly ids: string[] = [];
  readonly labels: string[] = [];
  constructor() {
    super({
      accountId: testAccount,
      region: names.region,
      trustAnchor: Buffer.of(),
      module: 'none',
      token: { label: 'none' },
      environment: {},
      sessions: 1,
      timeoutMs: 1_000,
    });
  }
  override async connect({ id }: Login): Promise<void> {
    this.ids.push(id);
  }
  override async use(_login: Login, work: TokenWork): Promise<unknown> {
    if ('label' in work) this.labels.push(work.label);
    const [iv, ciphertext, tag] = [Buffer.alloc(12), Buffer.of(1), Buffer.alloc(16)];
    return work.name === 'encrypt' ? { iv, ciphertext, tag } : ciphertext;
  }
}

const owner = { accessKeyId: names.clusterId, principal: 'store-1' };
const sealedIn = async (context: CommandContext, password: string) =>
  (await runCommand('SealCredential', { ...owner, secretAccessKey: Buffer.from(password) }, context)).token;

test('a password is one login, however often it was resealed, and another password is another', async () => {
  const cluster = new RecordingCluster();
  const clusters = new Map([[names.clusterId, cluster]]);
  const [before, after] = [testDomainKey('1'), testDomainKey('2')];
  const context = testContext({ clusters, keyring: testKeyring({ active: before }) });
  const rotated = testContext({ clusters, keyring: testKeyring({ active: after, deactivated: [before] }) });
  const sealed = (password: string) => sealedIn(context, password);
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

test("the user's other keys, such as one that seals an identity, are neither used nor destroyed, nor made", async () => {
  const cluster = new RecordingCluster();
  const context = testContext({ clusters: new Map([[names.clusterId, cluster]]) });
  const of = { ...names, principal: owner.principal, token: await sealedIn(context, 'a password') };
  const [iv, tag, bytes] = [Buffer.alloc(12), Buffer.alloc(16), Buffer.of(1)];
  const commands = [
    (keyId: string) => runCommand('GenerateClusterKey', { ...of, keyId }, context),
    (keyId: string) => runCommand('DestroyClusterKey', { ...of, keyId }, context),
    (keyId: string) =>
      runCommand('EncryptInCluster', { ...of, keyId, associatedData: bytes, plaintext: bytes }, context),
    (keyId: string) =>
      runCommand('DecryptInCluster', { ...of, keyId, associatedData: bytes, iv, ciphertext: bytes, tag }, context),
  ];
  for (const run of commands)
    for (const label of ['keyfleet-hsm-worker-1', newKeyId(false).toUpperCase(), 'mrk-1'])
      await expect(run(label)).rejects.toMatchObject({ refusal: 'invalid-input' });
  expect(cluster.labels).toEqual([]);
  const keyId = newKeyId(false);
  for (const run of commands) await run(keyId);
  expect(cluster.labels).toEqual(commands.map(() => keyId));
});
