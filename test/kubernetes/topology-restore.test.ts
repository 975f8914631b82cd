import { CreateKeyCommand, DecryptCommand, EncryptCommand, KMSClient } from '@aws-sdk/client-kms';
import { Agent } from 'node:https';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { AwsCredentials } from '../../tools/aws-files.ts';
import { found } from './support/topology/found.ts';
import { outcomesOf, SdkLoad } from './support/topology/sdk-load.ts';
import { Topology } from './support/topology/topology.ts';

// Lost volumes of Redis, and the commands of docs/kubernetes.md for them as they stand.

const Plaintext = Buffer.from('what a customer keeps');

let topology: Topology;
let credentials: AwsCredentials;
beforeAll(async () => {
  topology = await Topology.start();
  credentials = await found(topology);
});
afterAll(() => topology?.[Symbol.asyncDispose]());

test('when all of Redis was down and its master is lost with its volume, the one that has most becomes the master', async () => {
  const ciphertexts = await makeKeys();
  const lost = topology.pod('redis-0');
  expect((await lost.exec(['sh', '/etc/redis/master.sh'])).stdout).toBe('redis-0.redis.keyfleet.svc');
  const others = ['redis-1', 'redis-2'].map((name) => topology.pod(name));
  for (const pod of [lost, ...others]) pod.kill();
  for (const pod of others) pod.release();
  const asked = ['sh', '/etc/redis/ping.sh', '26379'];
  for (const pod of others)
    await expect.poll(async () => (await pod.exec(asked, 'sentinel')).exitCode, { timeout: 60_000 }).toBe(0);
  await topology.laptop.runDocumented('-c sentinel -- sh');
  await topology.awaitReady('redis');
  await opens(ciphertexts);
  await isServed();
}, 600_000);

test('a backup that was taken under a load gives every key back to a Redis that has lost its volumes', async () => {
  const { laptop } = topology;
  const ciphertexts = await makeKeys();
  await using load = await SdkLoad.start(topology, credentials);
  await laptop.runDocumented('keyfleet backup');
  await load.stop();
  const later = await makeKeys(1);

  await laptop.runDocumented('delete pvc data-redis-0 data-redis-1');
  await laptop.runDocumented('keyfleet restore');
  await topology.awaitReady('domain-manager');

  await opens(ciphertexts);
  // So it is the backup that they are from.
  await expect(opens(later)).rejects.toMatchObject({ $metadata: { httpStatusCode: 400 } });
  await isServed();
}, 600_000);

/** A ciphertext under each of so many new keys. */
function makeKeys(count = 20): Promise<Uint8Array[]> {
  return withClient((kms) => {
    const made = Array.from({ length: count }, async () => {
      const { KeyMetadata } = await kms.send(new CreateKeyCommand({}));
      return (await kms.send(new EncryptCommand({ KeyId: KeyMetadata!.KeyId!, Plaintext }))).CiphertextBlob!;
    });
    return Promise.all(made);
  });
}

function opens(ciphertexts: readonly Uint8Array[]): Promise<void> {
  return withClient(async (kms) => {
    for (const CiphertextBlob of ciphertexts) {
      const opened = await kms.send(new DecryptCommand({ CiphertextBlob }));
      expect(Buffer.from(opened.Plaintext!)).toEqual(Plaintext);
    }
  });
}

async function isServed(): Promise<void> {
  await using load = await SdkLoad.start(topology, credentials);
  const outcomes = outcomesOf(await load.stop());
  expect(outcomes.flatMap(({ errors }) => errors)).toEqual([]);
}

/** A customer of one frontend. */
async function withClient<Result>(use: (kms: KMSClient) => Promise<Result>): Promise<Result> {
  const [frontend] = topology.pods('frontend');
  const ca = topology.objects.secrets.get('edge-tls')!['ca.crt']!;
  const httpsAgent = new Agent({ ca, servername: 'frontend.keyfleet.svc', keepAlive: true });
  const endpoint = `https://${frontend!.address}:8900`;
  const kms = new KMSClient({ endpoint, region: 'us-east-1', credentials, requestHandler: { httpsAgent } });
  try {
    return await use(kms);
  } finally {
    kms.destroy();
  }
}
