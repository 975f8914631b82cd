import {
  CreateKeyCommand,
  DecryptCommand,
  EncryptCommand,
  GetKeyLastUsageCommand,
  type KMSClient,
} from '@aws-sdk/client-kms';
import { kmsClient } from '@keyfleet/test-support/aws-client';
import { startTestCluster, type TestCluster } from '@keyfleet/test-support/cluster';
import { eventually, ServiceProcess } from '@keyfleet/test-support/fleet';
import { readFileSync, writeFileSync } from 'node:fs';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { newPort } from '../../tools/ports.ts';

// Two frontends of one deployment: the cluster's own, and one more.
let cluster: TestCluster;
let second: ServiceProcess;
let first: KMSClient;
let other: KMSClient;

beforeAll(async () => {
  cluster = await startTestCluster({ workers: 1 });
  first = kmsClient(cluster);
  const [http, grpc] = [`127.0.0.1:${await newPort()}`, `127.0.0.1:${await newPort()}`];
  second = newFrontend({ http, grpc });
  other = kmsClient(cluster, { endpoint: `http://${http}` });
  await startSecond();
});

afterAll(async () => {
  first?.destroy();
  other?.destroy();
  await second?.end('SIGKILL');
  await cluster?.[Symbol.asyncDispose]();
});

function newFrontend(addresses: object): ServiceProcess {
  const config = JSON.parse(readFileSync(cluster.home.in('config', 'frontend.json'), 'utf8')) as object;
  const file = cluster.home.in('config', 'frontend-2.json');
  const dataDir = cluster.home.in('frontend-2');
  const rest = { dataDir, firstAdministrator: undefined, auditFile: undefined };
  writeFileSync(file, JSON.stringify({ ...config, ...addresses, ...rest }), { mode: 0o600 });
  const args = ['services/frontend/src/main.ts', '--config', file];
  return new ServiceProcess('frontend-2', args, cluster.home.in('log', 'frontend-2.log'));
}

async function startSecond(): Promise<void> {
  second.start();
  await eventually('the second frontend serves', () => newKey(other).then(() => true));
}

async function newKey(kms: KMSClient): Promise<string> {
  const { KeyMetadata } = await kms.send(new CreateKeyCommand({}));
  return KeyMetadata?.KeyId ?? '';
}

async function lastUsage(kms: KMSClient, KeyId: string) {
  return (await kms.send(new GetKeyLastUsageCommand({ KeyId }))).KeyLastUsage;
}

/** Encrypts, and waits until the other frontend knows. */
async function encrypt(kms: KMSClient, KeyId: string) {
  const { CiphertextBlob, $metadata } = await kms.send(new EncryptCommand({ KeyId, Plaintext: Buffer.of(1) }));
  const witness = kms === first ? other : first;
  await eventually('the other frontend knows of the use', async () => {
    return (await lastUsage(witness, KeyId))?.KmsRequestId === $metadata.requestId;
  });
  return { CiphertextBlob, requestId: $metadata.requestId };
}

test('what one frontend did, another tells within seconds', async () => {
  const KeyId = await newKey(first);
  expect(await lastUsage(other, KeyId)).toEqual({});
  const before = Date.now();
  const { requestId } = await encrypt(first, KeyId);
  expect(await lastUsage(other, KeyId)).toEqual({
    Operation: 'Encrypt',
    Timestamp: expect.any(Date),
    KmsRequestId: requestId,
    CloudTrailEventId: expect.stringMatching(/^[0-9a-f-]{36}$/),
  });
  const { Timestamp } = (await lastUsage(other, KeyId)) ?? {};
  // The wire has seconds with fractions of a millisecond's precision.
  expect(Timestamp?.getTime()).toBeGreaterThanOrEqual(before - 1);
  const audited = readFileSync(cluster.home.in('log', 'audit.log'), 'utf8').split('\n');
  const { CloudTrailEventId } = (await lastUsage(other, KeyId)) ?? {};
  expect(audited.find((line) => line.includes(`"eventID":"${CloudTrailEventId}"`))).toContain(requestId);
});

test('kill -9 of a frontend loses no use but those since it last wrote', async () => {
  const KeyId = await newKey(first);
  const { CiphertextBlob, requestId } = await encrypt(first, KeyId);
  await first.send(new DecryptCommand({ CiphertextBlob }));
  expect(await lastUsage(first, KeyId)).toMatchObject({ Operation: 'Decrypt' });
  await cluster.kill('frontend');
  expect(await lastUsage(other, KeyId)).toMatchObject({ Operation: 'Encrypt', KmsRequestId: requestId });
  await cluster.restart('frontend');
  await eventually('the frontend is back', async () => {
    return (await lastUsage(first, KeyId))?.KmsRequestId === requestId;
  });
});

test('a frontend that is stopped in order loses none', async () => {
  const KeyId = await newKey(other);
  await other.send(new EncryptCommand({ KeyId, Plaintext: Buffer.of(1) }));
  await second.end('SIGTERM');
  expect(await lastUsage(first, KeyId)).toMatchObject({ Operation: 'Encrypt' });
  await startSecond();
});
