import { DomainManagerClient } from '@keyfleet/cli/domain-manager-client';
import { openHostPool } from '@keyfleet/cli/host-pool';
import { loadTrustAnchor } from '@keyfleet/cli/public-files';
import { plaintextPeers } from '@keyfleet/shared/grpc/peers';
import { keyAt } from '@keyfleet/shared/stored/names';
import { CreateKeyCommand, DecryptCommand, EncryptCommand } from '@aws-sdk/client-kms';
import { kmsClient } from '@keyfleet/test-support/aws-client';
import { cliOptionsOf, keyfleetJson, runKeyfleet } from '@keyfleet/test-support/cli';
import { startTestCluster } from '@keyfleet/test-support/cluster';
import { eventually } from '@keyfleet/test-support/fleet';
import { countTokensByDomainKey, redisOf } from '@keyfleet/test-support/stored-tokens';
import { expect, test } from 'vitest';
import { identities } from '../../tools/home.ts';

interface DomainKey {
  readonly id: string;
  readonly status: string;
}

test('a backup from before a removal is restored: its domain keys are reinstated, everything is resealed, and they are retired again', async () => {
  await using cluster = await startTestCluster();
  const { domain, signer, redis } = cliOptionsOf(cluster);
  const { home } = cluster;
  const keyfleet = async (...args: string[]) => {
    const result = await runKeyfleet(...args, ...domain, ...signer);
    expect(result).toMatchObject({ exitCode: 0, out: expect.stringContaining('Done: the domain is at generation') });
  };
  const domainKeys = async () =>
    (await keyfleetJson<{ domainKeys: DomainKey[] }>('domain', 'show', ...domain)).domainKeys;
  const doctor = async () => (await runKeyfleet('doctor', '--census', ...domain, ...redis)).out;
  const resealed = async () => {
    const active = (await domainKeys()).at(-1)!.id;
    await eventually('everything is under the active domain key', async () => {
      const client = redisOf(cluster);
      const counts = await countTokensByDomainKey(client).finally(() => client.disconnect());
      return counts.size === 1 && counts.has(active);
    });
  };

  const kms = kmsClient(cluster);
  const Plaintext = Buffer.from('from before');
  const KeyId = (await kms.send(new CreateKeyCommand({}))).KeyMetadata!.KeyId!;
  const { CiphertextBlob } = await kms.send(new EncryptCommand({ KeyId, Plaintext }));
  const decrypts = async () => {
    const decrypted = await kms.send(new DecryptCommand({ CiphertextBlob }));
    expect(Buffer.from(decrypted.Plaintext!)).toEqual(Plaintext);
  };
  const file = home.in('backup');
  await runKeyfleet('backup', ...redis, '--out', file);

  await keyfleet('member', 'remove', home.workerNames[1]!);
  await resealed();
  const old = (await domainKeys())[0]!.id;
  await keyfleet('domain', 'retire', old);
  await decrypts();

  await cluster.kill('frontend');
  const client = redisOf(cluster);
  await client.flushall();
  client.disconnect();
  expect((await runKeyfleet('restore', file, ...redis)).exitCode).toBe(0);
  const accepted = await runKeyfleet('store', 'accept', ...signer, '--trust-anchor', home.trustAnchorFile, ...redis);
  expect(accepted).toMatchObject({ exitCode: 0, notes: '' });
  // The domain-manager holds the newer tokens, and stores them again once it may.
  await eventually('the doctor says what to do', async () =>
    (await doctor()).includes(`keyfleet domain reinstate ${old.slice(0, 8)}`),
  );
  await keyfleet('domain', 'reinstate', old.slice(0, 8));
  await cluster.restart('frontend');
  await decrypts();

  await keyfleet('domain', 'rotate');
  await resealed();
  await keyfleet('domain', 'retire', old);
  await decrypts();
  await kms.send(new EncryptCommand({ KeyId, Plaintext }));
  expect((await domainKeys()).map(({ status }) => status)).toEqual(['retired', 'deactivated', 'active']);
});

test('a worker that has a token open refuses it as soon as its domain key is retired', async () => {
  await using cluster = await startTestCluster({ workers: 1 });
  const { domain, signer } = cliOptionsOf(cluster);
  const { KeyId, Arn } = (await kmsClient(cluster).send(new CreateKeyCommand({}))).KeyMetadata!;
  const [, , , region, account] = Arn!.split(':');
  await using resources = new AsyncDisposableStack();
  const redis = resources.adopt(redisOf(cluster), (client) => client.disconnect());
  const record = await redis.hget(keyAt(region!, KeyId!), 'record');
  const { backingKeys } = JSON.parse(record!) as { backingKeys: { token: string }[] };
  const key = { keyId: KeyId!, account: account!, token: Buffer.from(backingKeys[0]!.token, 'base64') };
  const client = resources.use(
    new DomainManagerClient(`127.0.0.1:${cluster.ports.domainManager}`, plaintextPeers.credentials),
  );
  const host = { host: identities.frontend, 'host-key': cluster.home.keyFile(identities.frontend) };
  const anchor = loadTrustAnchor(cluster.home.trustAnchorFile);
  // A session ends with its domain key.
  const encrypts = async () => {
    await using hsm = await openHostPool(host, { client, anchor, ...plaintextPeers }, redis);
    const input = {
      ...key,
      algorithm: 'SYMMETRIC_DEFAULT',
      encryptionContext: {},
      plaintext: Buffer.from('x'),
    } as const;
    await hsm.execute('Encrypt', input, Date.now() + 10_000);
  };
  const old = (await keyfleetJson<{ domainKeys: DomainKey[] }>('domain', 'show', ...domain)).domainKeys[0]!.id;
  await runKeyfleet('domain', 'rotate', ...domain, ...signer);
  await encrypts();
  await runKeyfleet('domain', 'retire', old, ...domain, ...signer);
  await expect(encrypts()).rejects.toThrow('retired-domain-key');
});
