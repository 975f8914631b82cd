import { plaintextPeers } from '@keyfleet/shared/grpc/peers';
import { CreateKeyCommand, EncryptCommand } from '@aws-sdk/client-kms';
import { DomainManagerClient } from '@keyfleet/cli/domain-manager-client';
import { kmsClient } from '@keyfleet/test-support/aws-client';
import { runKeyfleet } from '@keyfleet/test-support/cli';
import { startTestCluster } from '@keyfleet/test-support/cluster';
import { eventually } from '@keyfleet/test-support/fleet';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';

const KEYS = 60;

test('a hostile member of three, whose tokens do not open, makes no key and destroys none in a rotation', async () => {
  const workerMain = join(import.meta.dirname, '../support/hostile-worker.ts');
  await using cluster = await startTestCluster({ workers: 3, workerMain });
  const kms = kmsClient(cluster);
  const ids = await Promise.all(
    Array.from({ length: KEYS }, async () => (await kms.send(new CreateKeyCommand({}))).KeyMetadata!.KeyId),
  );
  const useAll = () =>
    Promise.all(ids.map((KeyId) => kms.send(new EncryptCommand({ KeyId, Plaintext: Buffer.from('x') }))));
  await useAll();

  using client = new DomainManagerClient(`127.0.0.1:${cluster.ports.domainManager}`, plaintextPeers.credentials);
  const { home, ports } = cluster;
  const domain = ['--domain-manager', `127.0.0.1:${ports.domainManager}`, '--trust-anchor', home.trustAnchorFile];
  await runKeyfleet('domain', 'rotate', ...domain, '--as', 'operator-1', '--key', home.keyFile('operator-1'));
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
