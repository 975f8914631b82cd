import {
  CreateKeyCommand,
  DescribeKeyCommand,
  EncryptCommand,
  GenerateMacCommand,
  type KMSClient,
} from '@aws-sdk/client-kms';
import { globSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { kmsClient } from '../support/aws-client.ts';
import { startTestCluster } from '../support/cluster.ts';
import { knownBackingKey } from '../support/known-backing-keys.ts';
import { findInMemory } from '../support/process-memory.ts';

const KEYS = 4;
const description = 'a description that the frontend surely has seen';
const HMAC_512_BYTES = 64;

/** Symmetric keys, then HMAC keys, each used once, so that workers hold them opened. */
async function makeAndUseKeys(kms: KMSClient): Promise<void> {
  for (let count = 0; count < KEYS; count++) {
    const { KeyMetadata } = await kms.send(new CreateKeyCommand({ Description: description }));
    await kms.send(new EncryptCommand({ KeyId: KeyMetadata?.KeyId, Plaintext: Buffer.from('plaintext') }));
  }
  for (let count = 0; count < KEYS; count++) {
    const hmac = { KeySpec: 'HMAC_512', KeyUsage: 'GENERATE_VERIFY_MAC' } as const;
    const { KeyMetadata } = await kms.send(new CreateKeyCommand(hmac));
    const KeyId = KeyMetadata?.KeyId;
    await kms.send(new DescribeKeyCommand({ KeyId }));
    await kms.send(new GenerateMacCommand({ KeyId, Message: Buffer.from('message'), MacAlgorithm: 'HMAC_SHA_512' }));
  }
}

/** A backing key as bytes, and as text would carry it. */
function needlesOf(keys: readonly Buffer[]): Map<string, Buffer> {
  return new Map(
    keys.flatMap((key, index) => [
      [`key ${index}`, key],
      [`key ${index} in hex`, Buffer.from(key.toString('hex'))],
      [`key ${index} in base64`, Buffer.from(key.toString('base64').replace(/=+$/, ''))],
    ]),
  );
}

test('no backing key stands in the memory of the frontend, in Redis, or in any file of the cluster', async () => {
  const workerMain = join(import.meta.dirname, '../support/known-random-worker.ts');
  await using cluster = await startTestCluster({ workers: 1, workerMain });
  await makeAndUseKeys(kmsClient(cluster));

  const known = Array.from({ length: 2 * KEYS }, (_, count) =>
    knownBackingKey('hsm-worker-1', count, count < KEYS ? 32 : HMAC_512_BYTES),
  );
  const needles = needlesOf(known);
  const control = new Map([...needles, ['description', Buffer.from(description)]]);

  // The search works, and these are the keys: the worker has them in its memory, and the frontend has the description.
  const inWorker = findInMemory(cluster.pid('hsm-worker-1') ?? 0, needles);
  expect(inWorker).toEqual(expect.arrayContaining(known.map((_, index) => `key ${index}`)));
  expect(findInMemory(cluster.pid('frontend') ?? 0, control)).toEqual(['description']);
  expect(findInMemory(cluster.pid('redis') ?? 0, control)).toEqual(['description']);
  expect(findInMemory(cluster.pid('domain-manager') ?? 0, needles)).toEqual([]);
  expect(findInMemory(cluster.pid('nats') ?? 0, needles)).toEqual([]);

  const files = globSync('**', { cwd: cluster.home.path })
    .map((name) => join(cluster.home.path, name))
    .filter((path) => statSync(path).isFile());
  const contents = files.map((path) => readFileSync(path));
  expect(contents.some((bytes) => bytes.includes(description))).toBe(true);
  const leaks = [...needles].filter(([, needle]) => contents.some((bytes) => bytes.includes(needle)));
  expect(leaks.map(([name]) => name)).toEqual([]);
});
