import { KMS } from '@aws-sdk/client-kms';
import { startTestCluster, type TestCluster } from '@keyfleet/test-support/cluster';
import { KmsPluginProcess } from '@keyfleet/test-support/kms-plugin';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { mkdtempDisposable } from 'node:fs/promises';
import { Agent } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { caFileOf } from '../../tools/home-tls.ts';
import { ApiServer } from './support/api-server.ts';

// A real kube-apiserver and etcd, our KMS plugin as it runs beside it, and a whole Keyfleet with certificates of a
// private authority. The tests build on each other.

const SECRETS = '/api/v1/namespaces/default/secrets';
const PREFIX = 'k8s:enc:kms:v2:keyfleet:';
/** kube-apiserver asks an unhealthy plugin every 10 s, and a healthy one every minute. */
const NEXT_STATUS = { timeout: 90_000, interval: 500 };

let keyfleet: TestCluster;
let kubernetes: ApiServer;
let plugin: KmsPluginProcess;
let startPlugin: (caFile?: string) => KmsPluginProcess;
let kms: KMS;
let KeyId: string;
const resources = new AsyncDisposableStack();
beforeAll(async () => {
  keyfleet = resources.use(await startTestCluster({ tls: true }));
  const { endpoint, credentials, ca } = keyfleet;
  kms = new KMS({ endpoint, region: 'us-east-1', credentials, requestHandler: { httpsAgent: new Agent({ ca }) } });
  resources.defer(() => kms.destroy());
  KeyId = (await kms.createKey({})).KeyMetadata!.Arn!;
  const { path } = resources.use(await mkdtempDisposable(join(tmpdir(), 'keyfleet-')));
  const socket = join(path, 'kms.sock');
  const config = {
    socket,
    keyId: KeyId,
    region: 'us-east-1',
    grpc: `localhost:${keyfleet.ports.grpc}`,
    credentialsFile: keyfleet.home.in('aws', 'credentials'),
    encryptionContext: { cluster: 'test' },
  };
  startPlugin = (caFile = caFileOf(keyfleet.home)) => new KmsPluginProcess(path, { ...config, tls: { caFile } });
  plugin = startPlugin();
  resources.defer(() => plugin.kill());
  const provider = { apiVersion: 'v2', name: 'keyfleet', endpoint: `unix://${socket}`, timeout: '3s' };
  kubernetes = await ApiServer.start(resources, {
    encryptionConfig: {
      apiVersion: 'apiserver.config.k8s.io/v1',
      kind: 'EncryptionConfiguration',
      resources: [{ resources: ['secrets'], providers: [{ kms: provider }] }],
    },
  });
});
afterAll(() => resources.disposeAsync());

async function create(name: string, value: string): Promise<void> {
  const { status, text } = await kubernetes.post(SECRETS, { metadata: { name }, stringData: { value } });
  expect(status, text).toBe(201);
}

/** The value, or the status with which it cannot be read. */
async function read(name: string): Promise<string> {
  const { status, json } = await kubernetes.get(`${SECRETS}/${name}`);
  if (status !== 200) return `${status}`;
  return Buffer.from((json as { data: { value: string } }).data.value, 'base64').toString();
}

const stored = (name: string): Promise<string> => kubernetes.stored(`/registry/secrets/default/${name}`);
const health = async (): Promise<number> => (await kubernetes.get('/readyz/kms-providers')).status;
/** The key ids that what is stored names, in it. */
const materialsIn = (text: string): string[] => text.match(/arn:aws:kms:[\w:/-]+#[0-9a-f]{64}/g) ?? [];

test('a Secret is encrypted in etcd under the key, and read through the API', async () => {
  await create('one', 'the first secret');
  const value = await stored('one');
  expect(value.slice(0, PREFIX.length)).toBe(PREFIX);
  expect(value).not.toContain('the first secret');
  expect(materialsIn(value)[0]).toContain(`${KeyId}#`);
  expect(await read('one')).toBe('the first secret');
});

test('it survives a restart of the plugin, of kube-apiserver, and of all of Keyfleet', async () => {
  await plugin.kill();
  plugin = startPlugin();
  await kubernetes.stopApi();
  await kubernetes.startApi();
  expect(await read('one')).toBe('the first secret');
  await keyfleet.kill(...keyfleet.names);
  await keyfleet.restart(...keyfleet.names);
  await kubernetes.stopApi();
  await kubernetes.startApi();
  expect(await read('one')).toBe('the first secret');
});

test('after a rotation new Secrets are under the new key material, and the old ones are read', async () => {
  await kms.rotateKeyOnDemand({ KeyId });
  const [before] = materialsIn(await stored('one'));
  let i = 0;
  await expect
    .poll(async () => {
      const name = `rotated-${i++}`;
      await create(name, 'x');
      return materialsIn(await stored(name))[0];
    }, NEXT_STATUS)
    .not.toBe(before);
  expect(await read('one')).toBe('the first secret');
  const secret = (await kubernetes.get(`${SECRETS}/one`)).json as object;
  expect((await kubernetes.put(`${SECRETS}/one`, secret)).status).toBe(200);
  expect(materialsIn(await stored('one'))[0]).not.toBe(before);
  expect(await read('one')).toBe('the first secret');
});

test('while Keyfleet is away a running kube-apiserver reads and writes Secrets and says that the provider is not healthy', async () => {
  await keyfleet.kill('frontend');
  await expect.poll(health, NEXT_STATUS).toBe(500);
  expect(await read('one')).toBe('the first secret');
  await create('meanwhile', 'written meanwhile');
  expect((await stored('meanwhile')).slice(0, PREFIX.length)).toBe(PREFIX);
});

test('one that starts meanwhile reads no Secret; when Keyfleet is back it does, what was written meanwhile too', async () => {
  await kubernetes.stopApi();
  await kubernetes.startApi('/readyz/ping');
  expect(await read('one')).toBe('500');
  expect(await health()).toBe(500);
  await keyfleet.restart('frontend');
  await expect.poll(health, NEXT_STATUS).toBe(200);
  await expect.poll(() => read('one'), NEXT_STATUS).toBe('the first secret');
  expect(await read('meanwhile')).toBe('written meanwhile');
});

test('a disabled key makes the provider unhealthy, and an enabled one healthy again', async () => {
  await kms.disableKey({ KeyId });
  await expect.poll(health, NEXT_STATUS).toBe(500);
  await kms.enableKey({ KeyId });
  await expect.poll(health, NEXT_STATUS).toBe(200);
  expect(await read('one')).toBe('the first secret');
});

test('a plugin that is told of another authority trusts no frontend: Secrets are read again with the right one', async () => {
  await plugin.kill();
  await kubernetes.stopApi();
  plugin = startPlugin(kubernetes.caFile);
  await kubernetes.startApi('/readyz/ping');
  const problem = async () => (await kubernetes.get('/readyz/kms-providers')).text;
  await expect.poll(problem, NEXT_STATUS).toContain('certificate');
  expect(await read('one')).toBe('500');
  await plugin.kill();
  plugin = startPlugin();
  await expect.poll(health, NEXT_STATUS).toBe(200);
  await expect.poll(() => read('one'), NEXT_STATUS).toBe('the first secret');
});
