import {
  CreateKeyCommand,
  type CreateKeyCommandInput,
  DescribeKeyCommand,
  EncryptCommand,
  GenerateMacCommand,
  GenerateRandomCommand,
  GetParametersForImportCommand,
  ImportKeyMaterialCommand,
  type KMSClient,
  SignCommand,
} from '@aws-sdk/client-kms';
import { kmsClient } from '@keyfleet/test-support/aws-client';
import { startTestCluster } from '@keyfleet/test-support/cluster';
import { knownBackingKey } from '@keyfleet/test-support/known-backing-keys';
import { wrapMaterial } from '@keyfleet/shared/wrap-material';
import { anyMaterial } from '@keyfleet/test-support/wrapped';
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { createKmsClient } from '@keyfleet/client';
import { heldBy, methodsOf, needlesOf, secretKinds, useSecrets } from '@keyfleet/test-support/used-secrets';
import { findInMemory } from '@keyfleet/test-support/process-memory';
import { globSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';

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

/** A symmetric key and a private key of P-256, imported and used: the bytes, and the scalar. */
async function importAndUseKeys(kms: KMSClient): Promise<Buffer[]> {
  const forEver = { ExpirationModel: 'KEY_MATERIAL_DOES_NOT_EXPIRE' } as const;
  const importInto = async (kind: CreateKeyCommandInput, material: Uint8Array) => {
    const { KeyMetadata } = await kms.send(new CreateKeyCommand({ ...kind, Origin: 'EXTERNAL' }));
    const KeyId = KeyMetadata!.KeyId!;
    const parameters = await kms.send(new GetParametersForImportCommand({ KeyId, ...anyMaterial }));
    const { ImportToken, PublicKey } = parameters;
    const EncryptedKeyMaterial = wrapMaterial(anyMaterial.WrappingAlgorithm, PublicKey!, material);
    await kms.send(new ImportKeyMaterialCommand({ KeyId, ImportToken, EncryptedKeyMaterial, ...forEver }));
    return KeyId;
  };
  const symmetric = randomBytes(32);
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const first = await importInto({}, symmetric);
  await kms.send(new EncryptCommand({ KeyId: first, Plaintext: Buffer.from('plaintext') }));
  const kind = { KeySpec: 'ECC_NIST_P256', KeyUsage: 'SIGN_VERIFY' } as const;
  const KeyId = await importInto(kind, privateKey.export({ format: 'der', type: 'pkcs8' }));
  await kms.send(new SignCommand({ KeyId, Message: Buffer.from('message'), SigningAlgorithm: 'ECDSA_SHA_256' }));
  return [symmetric, privateKey.export({ format: 'raw-private' })];
}

test('no backing key stands in the memory of the frontend, in Redis, or in any file of the cluster', async () => {
  const workerMain = join(import.meta.dirname, '../support/known-random-worker.ts');
  await using cluster = await startTestCluster({ workers: 1, workerMain });
  await makeAndUseKeys(kmsClient(cluster));
  const imported = await importAndUseKeys(kmsClient(cluster));

  const known = Array.from({ length: 2 * KEYS }, (_, count) =>
    knownBackingKey('hsm-worker-1', count, count < KEYS ? 32 : HMAC_512_BYTES),
  );
  const needles = new Map([...needlesOf(known), ...needlesOf(imported, 'imported key')]);
  const control = new Map([...needles, ['description', Buffer.from(description)]]);

  // The search works, and these are the keys: the worker has them in its memory, and the frontend has the description.
  const inWorker = findInMemory(cluster.pid('hsm-worker-1') ?? 0, needles);
  expect(inWorker).toEqual(expect.arrayContaining([...known.map((_, index) => `key ${index}`), 'imported key 0']));
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

test('a worker keeps nothing of what it was given or gave: secrets are overwritten when their answer is sealed', async () => {
  const workerMain = join(import.meta.dirname, '../support/leaky-worker.ts');
  await using cluster = await startTestCluster({ workers: 2, workerMain });
  const secrets = await useSecrets(methodsOf(kmsClient(cluster)));
  secrets.set('credential', [Buffer.from(cluster.credentials.secretAccessKey)]);
  /** Only one worker is there to open the credential of a frontend that knows none yet. */
  const openCredentialBy = async (worker: string, other: string) => {
    await cluster.kill(other, 'frontend');
    if (cluster.pid(worker) === undefined) await cluster.restart(worker);
    await cluster.restart('frontend');
    await kmsClient(cluster).send(new GenerateRandomCommand({ NumberOfBytes: 32 }));
  };

  // Nothing is waited for: what is searched now must be gone already, and does not come back by itself.
  expect(heldBy(cluster.pid('hsm-worker-1'), secrets)).toEqual({});
  // The same searched where nothing is overwritten: whatever passes through a worker would be found.
  expect(Object.keys(heldBy(cluster.pid('hsm-worker-2'), secrets))).toEqual(expect.arrayContaining([...secretKinds]));

  await openCredentialBy('hsm-worker-1', 'hsm-worker-2');
  expect(heldBy(cluster.pid('hsm-worker-1'), secrets)).toEqual({});
  await openCredentialBy('hsm-worker-2', 'hsm-worker-1');
  expect(heldBy(cluster.pid('hsm-worker-2'), secrets)).toHaveProperty('credential');
});

/** Of 180. Node's HTTP parser and sockets have copies of their own, which nobody can reach: most runs find none. */
const MAX_HELD = 5;
const protocols = ['HTTP', 'gRPC'] as const;

test('a frontend keeps no secret access key, and of what passed through it over HTTP and gRPC next to nothing', async () => {
  await using cluster = await startTestCluster({ workers: 2 });
  // The one that ran until now has written the first access key to its file.
  await cluster.kill('frontend');
  await cluster.restart('frontend');
  const { credentials, grpcAddress: address } = cluster;
  using grpc = createKmsClient({ address, credentials, region: 'us-east-1', timeoutMs: 60_000 });
  const clients = { HTTP: methodsOf(kmsClient(cluster)), gRPC: grpc };
  const used = await Promise.all(protocols.map(async (name) => [name, await useSecrets(clients[name])] as const));
  const secrets = new Map([
    ...used.flatMap(([protocol, made]) => [...made].map(([kind, all]) => [`${protocol}: ${kind}`, all] as const)),
    ['id', [Buffer.from(credentials.accessKeyId)]],
    ['secret', [Buffer.from(credentials.secretAccessKey)]],
  ]);

  // Nothing is waited for: what is searched now must be gone already, and does not come back by itself.
  const held = heldBy(cluster.pid('frontend'), secrets);
  for (const protocol of protocols) {
    const counts = Object.entries(held).map(([name, count]) => (name.startsWith(protocol) ? count : 0));
    expect(
      counts.reduce((sum, count) => sum + count, 0),
      JSON.stringify(held),
    ).toBeLessThanOrEqual(MAX_HELD);
  }
  // The same search finds what the frontend does keep.
  expect(held).toHaveProperty('id');
  expect(Object.keys(held).filter((name) => name.startsWith('secret'))).toEqual([]);
});
