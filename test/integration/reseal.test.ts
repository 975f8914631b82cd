import { plaintextPeers } from '@keyfleet/shared/grpc/peers';
import { DecryptCommand, EncryptCommand, CreateKeyCommand, KMSClient } from '@aws-sdk/client-kms';
import { DomainManagerClient } from '@keyfleet/cli/domain-manager-client';
import { boundTo, newProposal, signProposal } from '@keyfleet/shared/domain/proposal';
import { parseTrustAnchor } from '@keyfleet/shared/domain/trust-anchor';
import { startTestCluster, type TestCluster } from '@keyfleet/test-support/cluster';
import { eventually } from '@keyfleet/test-support/fleet';
import { createPrivateKey } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';

function kmsOf(cluster: TestCluster): KMSClient {
  return new KMSClient({ region: 'us-east-1', endpoint: cluster.endpoint, credentials: cluster.credentials });
}

/** What `keyfleet domain rotate` does. */
async function rotate(cluster: TestCluster, client: DomainManagerClient): Promise<void> {
  const anchor = parseTrustAnchor(readFileSync(cluster.home.trustAnchorFile, 'utf8'));
  const known = await client.getDomain(anchor);
  const command = { ...boundTo(known, known.state.members[0]!.memberId), name: 'RotateDomainKeys' as const, body: {} };
  const privateKey = createPrivateKey(readFileSync(cluster.home.keyFile('operator-1')));
  const { proposalId } = await client.propose(
    signProposal(newProposal(command), { operatorId: 'operator-1', privateKey }),
  );
  await client.awaitDone(proposalId, anchor, 20_000);
}

test('after a rotation everything is resealed and proved so, and every key and ciphertext still works', async () => {
  await using cluster = await startTestCluster();
  const kms = kmsOf(cluster);
  const keys = await Promise.all(Array.from({ length: 40 }, () => kms.send(new CreateKeyCommand({}))));
  const Plaintext = Buffer.from('hello');
  const KeyId = keys[0]!.KeyMetadata!.KeyId;
  const { CiphertextBlob } = await kms.send(new EncryptCommand({ KeyId, Plaintext }));

  using client = new DomainManagerClient(`127.0.0.1:${cluster.ports.domainManager}`, plaintextPeers.credentials);
  for (const generation of [2, 3]) {
    await rotate(cluster, client);
    await eventually('resealing is proved', async () => {
      const { reseal } = await client.status();
      return reseal?.generation === generation && reseal.verified === true;
    });
    // 40 keys at least; the access key and the fleet's secrets are sealed too.
    expect((await client.status()).reseal?.resealed).toBeGreaterThan(40);
    const decrypted = await kms.send(new DecryptCommand({ CiphertextBlob }));
    expect(Buffer.from(decrypted.Plaintext!)).toEqual(Plaintext);
  }
  for (const { KeyMetadata } of keys) {
    const encrypted = await kms.send(new EncryptCommand({ KeyId: KeyMetadata!.KeyId, Plaintext }));
    const decrypted = await kms.send(new DecryptCommand({ CiphertextBlob: encrypted.CiphertextBlob }));
    expect(Buffer.from(decrypted.Plaintext!)).toEqual(Plaintext);
  }
});

test('resealing goes on where it was after NATS, the domain-manager, a worker and the frontend were killed', async () => {
  await using cluster = await startTestCluster();
  const kms = kmsOf(cluster);
  const created = await Promise.all(Array.from({ length: 20 }, () => kms.send(new CreateKeyCommand({}))));
  using client = new DomainManagerClient(`127.0.0.1:${cluster.ports.domainManager}`, plaintextPeers.credentials);
  await rotate(cluster, client);
  const killed = ['nats', 'domain-manager', 'hsm-worker-1', 'frontend'];
  await cluster.kill(...killed);
  await cluster.restart(...killed);
  await eventually('resealing is proved', async () => (await client.status()).reseal?.verified === true, 90_000);
  const KeyId = created[0]!.KeyMetadata!.KeyId;
  await kms.send(new EncryptCommand({ KeyId, Plaintext: Buffer.from('x') }));
});
