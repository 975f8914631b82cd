import { plaintextPeers } from '@keyfleet/shared/grpc/peers';
import { CreateKeyCommand, EncryptCommand, ListKeysCommand } from '@aws-sdk/client-kms';
import { DomainManagerClient } from '@keyfleet/cli/domain-manager-client';
import { kmsClient } from '@keyfleet/test-support/aws-client';
import { cliOptionsOf, runKeyfleet } from '@keyfleet/test-support/cli';
import { startTestCluster } from '@keyfleet/test-support/cluster';
import { eventually } from '@keyfleet/test-support/fleet';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';

const KEYS = 60;
const support = join(import.meta.dirname, '../support');

test('a hostile member of three, whose tokens do not open, makes no key and destroys none in a rotation', async () => {
  await using cluster = await startTestCluster({ workers: 3, workerMain: join(support, 'hostile-worker.ts') });
  const kms = kmsClient(cluster);
  const ids = await Promise.all(
    Array.from({ length: KEYS }, async () => (await kms.send(new CreateKeyCommand({}))).KeyMetadata!.KeyId),
  );
  const useAll = () =>
    Promise.all(ids.map((KeyId) => kms.send(new EncryptCommand({ KeyId, Plaintext: Buffer.from('x') }))));
  await useAll();

  using client = new DomainManagerClient(`127.0.0.1:${cluster.ports.domainManager}`, plaintextPeers.credentials);
  const { domain, signer } = cliOptionsOf(cluster);
  await runKeyfleet('domain', 'rotate', ...domain, ...signer);
  await eventually('resealing is proved', async () => {
    const { reseal } = await client.status();
    return reseal?.verified === true && (reseal.resealed ?? 0) > KEYS;
  });
  // Workers forget what they opened before: every key comes out of its resealed token.
  await cluster.kill('hsm-worker-2', 'hsm-worker-3');
  await cluster.restart('hsm-worker-2', 'hsm-worker-3');
  await useAll();
  expect(readFileSync(cluster.home.in('log', 'frontend.log'), 'utf8')).toContain('an HSM contradicts another');
  kms.destroy();
});

test('a hostile member that finds another secret in access keys shuts nobody out, and its word ends with its removal', async () => {
  await using cluster = await startTestCluster({ workers: 2, workerMain: join(support, 'lying-worker.ts') });
  const asOwner = () => kmsClient(cluster).send(new ListKeysCommand({}));
  const { accessKeyId } = cluster.credentials;
  // As test/support/lying-worker.ts says.
  const credentials = { accessKeyId, secretAccessKey: 'A'.repeat(40) };
  const asLiar = () => kmsClient(cluster, { credentials }).send(new ListKeysCommand({}));
  // Whom the hostile member tells its secret is served, as if it had told the right one. That costs the owner nothing.
  for (let time = 0; time < 5; time++) {
    await asLiar();
    await asOwner();
  }
  const { domain, signer } = cliOptionsOf(cluster);
  await asLiar();
  const removal = await runKeyfleet('member', 'remove', cluster.home.workerNames[0]!, ...domain, ...signer);
  expect(removal).toMatchObject({ exitCode: 0 });
  const isRefused = () =>
    asLiar().then(
      () => false,
      ({ name }: Error) => name === 'InvalidSignatureException',
    );
  // The frontend need not be told: after a minute it reads the access key's record again, which is resealed.
  await eventually('the false secret is nobody’s', isRefused, 20_000);
  await asOwner();
});
