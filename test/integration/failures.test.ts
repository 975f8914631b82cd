import {
  CreateKeyCommand,
  DecryptCommand,
  DescribeKeyCommand,
  EncryptCommand,
  type KMSClient,
  KMSServiceException,
} from '@aws-sdk/client-kms';
import { Client, credentials } from '@grpc/grpc-js';
import { unary } from '@keyfleet/proto/unary';
import { healthService } from '@keyfleet/shared/grpc/health';
import { kmsClient } from '@keyfleet/test-support/aws-client';
import { startTestCluster, type TestCluster } from '@keyfleet/test-support/cluster';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { rmSync } from 'node:fs';
import { describeWorker } from '../../tools/readiness.ts';

// Every promise about what may fail, kept by breaking it. The tests share a cluster and each leaves it whole.
let cluster: TestCluster;
let kms: KMSClient;
let KeyId: string;

beforeAll(async () => {
  cluster = await startTestCluster({ workers: 2 });
  kms = kmsClient(cluster);
  KeyId = await createKey();
});

afterAll(async () => {
  kms?.destroy();
  await cluster?.[Symbol.asyncDispose]();
});

const Plaintext = Buffer.from('what must not be lost');
const EncryptionContext = { purpose: 'failure test' };

async function createKey(): Promise<string> {
  const { KeyMetadata } = await kms.send(new CreateKeyCommand({}));
  return KeyMetadata?.KeyId ?? '';
}

async function encrypt(): Promise<Uint8Array> {
  const { CiphertextBlob } = await kms.send(new EncryptCommand({ KeyId, Plaintext, EncryptionContext }));
  return CiphertextBlob ?? new Uint8Array();
}

async function decrypt(CiphertextBlob: Uint8Array): Promise<string> {
  const { Plaintext: opened } = await kms.send(new DecryptCommand({ CiphertextBlob, EncryptionContext }));
  return Buffer.from(opened ?? []).toString();
}

/** Clients that encrypt without pause until told to stop; resolves to how many succeeded and every error. */
function encryptInALoop(clients: number) {
  const stop = new AbortController();
  const errors: unknown[] = [];
  let succeeded = 0;
  const client = async () => {
    while (!stop.signal.aborted) {
      await encrypt().then(
        () => succeeded++,
        (error: unknown) => errors.push(error),
      );
    }
  };
  const all = Promise.all(Array.from({ length: clients }, client));
  return {
    /** Resolves when that many more have succeeded or failed. */
    async more(count: number) {
      const goal = succeeded + errors.length + count;
      await expect.poll(() => succeeded + errors.length, { timeout: 30_000 }).toBeGreaterThanOrEqual(goal);
    },
    async stop() {
      stop.abort();
      await all;
      return { succeeded, errors };
    },
  };
}

/** What an operation answers while something it needs is away: an error, of AWS, within the time a caller waits. */
async function boundedError(operation: () => Promise<unknown>): Promise<void> {
  const startedAt = performance.now();
  const error = await operation().then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(KMSServiceException);
  expect((error as KMSServiceException).$fault).toBe('server');
  expect(performance.now() - startedAt).toBeLessThan(10_000);
}

/** Until the system has come back by itself; nothing is restarted for it. */
async function recovered(operation: () => Promise<unknown>): Promise<void> {
  await expect.poll(() => operation().then(() => 'works', String), { timeout: 20_000, interval: 50 }).toBe('works');
}

test('each hsm-worker is killed in turn while clients encrypt, and no client sees an error', async () => {
  const load = encryptInALoop(8);
  await load.more(50);
  for (const name of ['hsm-worker-1', 'hsm-worker-2']) {
    await cluster.kill(name);
    await load.more(200);
    await cluster.restart(name);
    await hasDomain(name);
    await load.more(100);
  }
  const { succeeded, errors } = await load.stop();
  expect(errors).toEqual([]);
  expect(succeeded).toBeGreaterThan(600);
});

/** It has the domain again; that the frontend has found it again is for the frontend to see to. */
async function hasDomain(name: string): Promise<void> {
  const port = cluster.ports.workers[cluster.home.workerNames.indexOf(name)] ?? 0;
  await expect.poll(async () => (await describeWorker(port))?.generation ?? 0, { timeout: 20_000 }).toBeGreaterThan(0);
}

test('with every hsm-worker gone, callers get an error in time, and all is well when they are back', async () => {
  await cluster.kill('hsm-worker-1', 'hsm-worker-2');
  await boundedError(encrypt);
  await cluster.restart('hsm-worker-1', 'hsm-worker-2');
  await recovered(encrypt);
});

test('without NATS nothing changes for callers', async () => {
  await cluster.kill('nats');
  const created = await createKey();
  expect(created).not.toBe('');
  expect(await decrypt(await encrypt())).toBe(Plaintext.toString());
  await cluster.restart('nats');
});

test('without the domain-manager nothing changes for callers', async () => {
  await cluster.kill('domain-manager');
  expect(await createKey()).not.toBe('');
  expect(await decrypt(await encrypt())).toBe(Plaintext.toString());
  await cluster.restart('domain-manager');
});

test('hsm-workers that restart while the domain-manager is away serve with the token that they kept', async () => {
  await cluster.kill('domain-manager', 'hsm-worker-1', 'hsm-worker-2');
  await cluster.restart('hsm-worker-1', 'hsm-worker-2');
  await recovered(encrypt);
  expect([await healthOf('hsm-worker-1'), await healthOf('hsm-worker-2')]).toEqual(['SERVING', 'SERVING']);
  await cluster.restart('domain-manager');
});

test('one that has no token either is not ready, so that nobody stops the next one, and serves when it is shown that', async () => {
  await cluster.kill('domain-manager', 'hsm-worker-1');
  rmSync(cluster.home.in('hsm-worker-1', 'held-tokens'), { recursive: true });
  await cluster.restart('hsm-worker-1');
  expect([await healthOf('hsm-worker-1'), await healthOf('hsm-worker-2')]).toEqual(['NOT_SERVING', 'SERVING']);
  await cluster.restart('domain-manager');
  await expect.poll(() => healthOf('hsm-worker-1'), { timeout: 20_000 }).toBe('SERVING');
  await cluster.kill('hsm-worker-2');
  await recovered(encrypt);
  await cluster.restart('hsm-worker-2');
});

/** What a probe of an orchestrator hears. */
async function healthOf(name: string): Promise<unknown> {
  const port = cluster.ports.workers[cluster.home.workerNames.indexOf(name)] ?? 0;
  const client = new Client(`127.0.0.1:${port}`, credentials.createInsecure());
  const asked = unary(client, healthService['Check'] as never, { service: 'keyfleet.hsm.v1.Hsm' }, 5_000);
  return asked.then((answer) => (answer as { status: unknown }).status).finally(() => client.close());
}

test('without Redis callers get an error in time; what was acknowledged is there when it is back', async () => {
  const ciphertext = await encrypt();
  const created = await createKey();
  await cluster.kill('redis');
  await boundedError(createKey);
  await cluster.restart('redis');
  await recovered(createKey);
  expect((await kms.send(new DescribeKeyCommand({ KeyId: created }))).KeyMetadata?.KeyState).toBe('Enabled');
  expect(await decrypt(ciphertext)).toBe(Plaintext.toString());
});

test('a frontend that was killed serves every key again after its restart', async () => {
  const ciphertext = await encrypt();
  await cluster.kill('frontend');
  await cluster.restart('frontend');
  expect(await decrypt(ciphertext)).toBe(Plaintext.toString());
});

test('after kill -9 of everything at once, every acknowledged key is there and old ciphertexts open', async () => {
  const ciphertext = await encrypt();
  const created = await Promise.all(Array.from({ length: 20 }, createKey));
  await cluster.kill(...cluster.names);
  await cluster.restart(...cluster.names);
  await recovered(encrypt);
  expect(await decrypt(ciphertext)).toBe(Plaintext.toString());
  const states = await Promise.all(created.map((id) => kms.send(new DescribeKeyCommand({ KeyId: id }))));
  expect(states.map(({ KeyMetadata }) => KeyMetadata?.KeyState)).toEqual(created.map(() => 'Enabled'));
});
