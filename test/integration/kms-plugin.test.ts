import { KMS } from '@aws-sdk/client-kms';
import { credentials } from '@grpc/grpc-js';
import { KeyManagementService } from '@keyfleet/proto/kubernetes';
import { unary } from '@keyfleet/proto/unary';
import { startTestCluster, type TestCluster } from '@keyfleet/test-support/cluster';
import { KmsPluginProcess } from '@keyfleet/test-support/kms-plugin';
import { mkdtempDisposable } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';

// The KMS plugin for Kubernetes as a process, with a whole cluster behind it and a test in kube-apiserver's place.

let cluster: TestCluster;
const resources = new AsyncDisposableStack();
beforeAll(async () => {
  cluster = resources.use(await startTestCluster());
});
afterAll(() => resources.disposeAsync());

async function given() {
  await using stack = new AsyncDisposableStack();
  const folder = stack.use(await mkdtempDisposable(join(tmpdir(), 'keyfleet-')));
  const kms = new KMS({ endpoint: cluster.endpoint, region: 'us-east-1', credentials: cluster.credentials });
  stack.defer(() => kms.destroy());
  const { KeyMetadata } = await kms.createKey({});
  const keyId = KeyMetadata!.Arn!;
  const socket = join(folder.path, 'kms.sock');
  const config = {
    socket,
    keyId,
    region: 'us-east-1',
    grpc: cluster.grpcAddress,
    credentialsFile: cluster.home.in('aws', 'credentials'),
    encryptionContext: { cluster: 'test' },
  };
  const start = (): KmsPluginProcess => new KmsPluginProcess(folder.path, config);
  const client = new KeyManagementService(`unix:${socket}`, credentials.createInsecure(), {
    'grpc.max_reconnect_backoff_ms': 100,
  });
  stack.defer(() => client.close());
  const { Status, Encrypt, Decrypt } = KeyManagementService.service;
  const status = () => unary(client, Status, {}, 5_000);
  const healthz = () => status().then((answer) => answer.healthz, String);
  return {
    kms,
    keyId,
    start,
    status,
    /** Polls until the plugin says so. */
    says: (what: RegExp) => expect.poll(healthz, { timeout: 30_000, interval: 200 }).toMatch(what),
    encrypt: (plaintext: Buffer) => unary(client, Encrypt, { plaintext, uid: 'a' }, 5_000),
    decrypt: (encrypted: object) => unary(client, Decrypt, { ...encrypted, uid: 'b' }, 5_000),
    [Symbol.asyncDispose]: (() => {
      const owned = stack.move();
      return () => owned.disposeAsync();
    })(),
  };
}

const seed = Buffer.alloc(32, 9);

test('Status, Encrypt and Decrypt agree on the key id; a rotation changes it, and what was encrypted before decrypts', async () => {
  await using plugin = await given();
  await using running = plugin.start();
  await plugin.says(/^ok$/);
  const before = await plugin.encrypt(seed);
  expect((await plugin.status()).key_id).toBe(before.key_id);
  expect(before.ciphertext!.length).toBeLessThan(1024);
  expect((await plugin.decrypt(before)).plaintext).toEqual(seed);

  await plugin.kms.rotateKeyOnDemand({ KeyId: plugin.keyId });
  await expect.poll(async () => (await plugin.status()).key_id, { timeout: 30_000 }).not.toBe(before.key_id);
  const after = await plugin.encrypt(seed);
  expect((await plugin.status()).key_id).toBe(after.key_id);
  expect((await plugin.decrypt(before)).plaintext).toEqual(seed);
  await expect(plugin.decrypt({ ...after, annotations: {} })).rejects.toThrow('InvalidCiphertextException');
  expect(await running.stop()).toBe('0');
});

test('health tells the truth of a key that is disabled, and of a Keyfleet that is away and comes back', async () => {
  await using plugin = await given();
  await using _running = plugin.start();
  await plugin.says(/^ok$/);
  const encrypted = await plugin.encrypt(seed);
  await plugin.kms.disableKey({ KeyId: plugin.keyId });
  await plugin.says(/^Keyfleet answers DisabledException: .* is disabled\.$/);
  await plugin.kms.enableKey({ KeyId: plugin.keyId });
  await plugin.says(/^ok$/);

  await cluster.kill('frontend');
  await plugin.says(/UNAVAILABLE/);
  await expect(plugin.decrypt(encrypted)).rejects.toMatchObject({ code: 14 });
  await cluster.restart('frontend');
  await plugin.says(/^ok$/);
  expect((await plugin.decrypt(encrypted)).plaintext).toEqual(seed);
});

test('a plugin that was killed starts again at its socket, and decrypts what the one before encrypted', async () => {
  await using plugin = await given();
  await using killed = plugin.start();
  await plugin.says(/^ok$/);
  const encrypted = await plugin.encrypt(seed);
  await killed.kill();
  await using _next = plugin.start();
  await plugin.says(/^ok$/);
  expect((await plugin.decrypt(encrypted)).plaintext).toEqual(seed);
});
