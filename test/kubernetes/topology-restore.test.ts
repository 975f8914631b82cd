import { CreateKeyCommand, DecryptCommand, EncryptCommand, KMSClient } from '@aws-sdk/client-kms';
import { readFileSync } from 'node:fs';
import { Agent } from 'node:https';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Founded, startFounded } from './support/topology/found.ts';
import type { Pod } from './support/topology/pod.ts';
import { outcomesOf, SdkLoad } from './support/topology/sdk-load.ts';

// Lost volumes of Redis, and the commands of docs/kubernetes.md for them as they stand.

const READ = { timeout: 60_000 };
/** Of redis.yaml: then it would be killed. */
const GRACE_MS = 60_000;
const Plaintext = Buffer.from('what a customer keeps');

let topology: Founded;
beforeAll(async () => void (topology = await startFounded()));
afterAll(() => topology?.[Symbol.asyncDispose]());

test('when all of Redis was down and its master is lost with its volume, the one that has most becomes the master', async () => {
  const ciphertexts = await makeKeys();
  const lost = await master();
  expect(lost.name).toBe('redis-0');
  const others = ['redis-1', 'redis-2'].map((name) => topology.pod(name));
  for (const pod of [lost, ...others]) pod.kill();
  topology.deleteClaim('data-redis-0');
  const emptied = await topology.replacePod('redis-0');
  const answers = async (pod: Pod) => (await pod.exec(['sh', '/etc/redis/ping.sh', '6379'])).exitCode === 0;
  await expect.poll(() => answers(emptied), READ).toBe(true);
  for (const pod of others) pod.release();
  for (const pod of others) {
    const says = () => readFileSync(pod.logFile('redis'), 'utf8');
    await expect.poll(says, READ).toContain('redis-0.redis.keyfleet.svc, has lost its volume');
    expect(await answers(pod), pod.name).toBe(false);
  }
  // Each waits for a master, and yet ends when it is told to.
  const told = Date.now();
  await topology.replacePod('redis-2');
  expect(Date.now() - told).toBeLessThan(GRACE_MS / 2);
  const asked = ['sh', '/etc/redis/ping.sh', '26379'];
  for (const name of ['redis-1', 'redis-2'])
    await expect.poll(async () => (await topology.pod(name).exec(asked, 'sentinel')).exitCode, READ).toBe(0);
  await topology.laptop.runDocumented('delete pvc data-redis-0 --wait=false');
  await topology.awaitReady('redis');
  await opens(ciphertexts);
  await isServed();
}, 600_000);

test('a master that comes back at once without its volume empties no other: one of them takes its place', async () => {
  const ciphertexts = await makeKeys();
  const lost = await master();
  lost.kill();
  topology.deleteClaim(`data-${lost.name}`);
  const emptied = await topology.replacePod(lost.name);
  await topology.awaitReady('redis');
  expect((await master()).name).not.toBe(emptied.name);
  await opens(ciphertexts);
  await isServed();
}, 600_000);

test('a backup that was taken under a load gives every key back to a Redis that has lost its volumes', async () => {
  const { laptop } = topology;
  const ciphertexts = await makeKeys();
  await using load = await SdkLoad.start(topology);
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

async function master(): Promise<Pod> {
  const { stdout } = await topology.pods('redis')[0]!.exec(['sh', '/etc/redis/master.sh']);
  return topology.pod(stdout.split('.')[0]!);
}

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
  await using load = await SdkLoad.start(topology);
  const outcomes = outcomesOf(await load.stop());
  expect(outcomes.flatMap(({ errors }) => errors)).toEqual([]);
}

/** A customer of one frontend. */
async function withClient<Result>(use: (kms: KMSClient) => Promise<Result>): Promise<Result> {
  const [frontend] = topology.pods('frontend');
  const ca = topology.objects.secrets.get('edge-tls')!['ca.crt']!;
  const httpsAgent = new Agent({ ca, servername: 'frontend.keyfleet.svc', keepAlive: true });
  const endpoint = `https://${frontend!.address}:8900`;
  const kms = new KMSClient({
    endpoint,
    region: 'us-east-1',
    credentials: topology.credentials,
    requestHandler: { httpsAgent },
  });
  try {
    return await use(kms);
  } finally {
    kms.destroy();
  }
}
