import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:https';
import { type AddressInfo, createServer as createTcpServer } from 'node:net';
import { join } from 'node:path';
import { IAM } from '@aws-sdk/client-iam';
import { KMS } from '@aws-sdk/client-kms';
import { type Certificate, TestAuthority } from '@keyfleet/test-support/certificates';
import { startTestCluster, type TestCluster } from '@keyfleet/test-support/cluster';
import { FakeXksProxy } from '@keyfleet/test-support/fakes/xks-proxy';
import { SoftHsm } from '@keyfleet/test-support/soft-hsm';
import { wrapped } from '@keyfleet/test-support/wrapped';

const region = 'us-east-1';
const accountId = '111122223333';
const pin = 'password-of-kmsuser';
const CloudHsmClusterId = 'cluster-abcdefghijk';
const credential = { AccessKeyId: 'A2B3C4D5E6F7A2B3C4D5', RawSecretAccessKey: randomBytes(32).toString('base64') };

/** A cluster with a key of each origin. */
export interface StoreCluster {
  readonly cluster: TestCluster;
  /** Origin -> key id. The proxy of the external key store is the cluster's own frontend, over TLS. */
  readonly keys: Readonly<Record<string, string>>;
  /** In an external key store whose proxy takes as long as `slow.delayMs` says. */
  readonly slowKey: string;
  readonly slow: { delayMs: number };
  /** As the cluster's administrator. */
  readonly kms: KMS;
}

/** `resources` stops what was started. `directory`: for certificates, secrets and the token. */
export async function startStoreCluster(directory: string, resources: AsyncDisposableStack): Promise<StoreCluster> {
  const authority = await TestAuthority.make(directory, 'roots');
  const token = await SoftHsm.make(directory, { label: 'bench', pin });
  const slow = { delayMs: 0 };
  const slowPort = await startProxy(await authority.issue('slow.test'), slow, resources);
  const proxyPort = await freePort();
  const cluster = resources.use(await startTestCluster({ workers: 2, accountId, rsaKeyPool: {} }));
  const own = { certificate: await authority.issue('keyfleet.test'), port: proxyPort, slowPort };
  await reconfigure(cluster, 'frontend', frontendMembers(directory, authority.caFile, own));
  for (const name of cluster.home.workerNames) {
    await reconfigure(cluster, name, { clusters: [clusterMember(token, authority.caFile)] });
  }
  const { endpoint, credentials } = cluster;
  const settings = { endpoint, credentials, region };
  const kms = resources.adopt(new KMS(settings), (it) => it.destroy());
  const iam = resources.adopt(new IAM(settings), (it) => it.destroy());
  await makeProxyUser(iam);
  return { cluster, slow, kms, ...(await makeKeys(kms, readFileSync(authority.caFile, 'utf8'))) };
}

async function makeKeys(kms: KMS, trustAnchor: string): Promise<Pick<StoreCluster, 'keys' | 'slowKey'>> {
  const create = async (request: Parameters<KMS['createKey']>[0]) => (await kms.createKey(request)).KeyMetadata!.KeyId!;
  const own = await create({});
  const imported = await create({ Origin: 'EXTERNAL' });
  const material = await wrapped(kms, imported, randomBytes(32));
  await kms.importKeyMaterial({ KeyId: imported, ...material, ExpirationModel: 'KEY_MATERIAL_DOES_NOT_EXPIRE' });
  const hsms = await connected(kms, {
    CustomKeyStoreName: 'hsms',
    CloudHsmClusterId,
    KeyStorePassword: pin,
    TrustAnchorCertificate: trustAnchor,
  });
  const inCluster = await create({ Origin: 'AWS_CLOUDHSM', CustomKeyStoreId: hsms });
  const keyIn = async (host: string, XksKeyId: string): Promise<string> => {
    const CustomKeyStoreId = await connected(kms, {
      CustomKeyStoreName: host,
      CustomKeyStoreType: 'EXTERNAL_KEY_STORE',
      XksProxyUriEndpoint: `https://${host}`,
      XksProxyUriPath: '/kms/xks/v1',
      XksProxyAuthenticationCredential: credential,
      XksProxyConnectivity: 'PUBLIC_ENDPOINT',
    });
    return create({ Origin: 'EXTERNAL_KEY_STORE', CustomKeyStoreId, XksKeyId });
  };
  const external = await keyIn('keyfleet.test', await create({}));
  const keys = { AWS_KMS: own, EXTERNAL: imported, AWS_CLOUDHSM: inCluster, EXTERNAL_KEY_STORE: external };
  return { keys, slowKey: await keyIn('slow.test', 'key-1') };
}

async function connected(kms: KMS, request: Parameters<KMS['createCustomKeyStore']>[0]): Promise<string> {
  const { CustomKeyStoreId } = await kms.createCustomKeyStore(request);
  await kms.connectCustomKeyStore({ CustomKeyStoreId });
  const { CustomKeyStores } = await kms.describeCustomKeyStores({ CustomKeyStoreId });
  const [{ ConnectionState, ConnectionErrorCode } = {}] = CustomKeyStores!;
  if (ConnectionState !== 'CONNECTED') throw new Error(`${request.CustomKeyStoreName}: ${ConnectionErrorCode}`);
  return CustomKeyStoreId!;
}

async function makeProxyUser(iam: IAM): Promise<void> {
  await iam.createUser({ UserName: 'xks' });
  const Statement = { Effect: 'Allow', Action: ['kms:Encrypt', 'kms:Decrypt', 'kms:DescribeKey'], Resource: '*' };
  const PolicyDocument = JSON.stringify({ Version: '2012-10-17', Statement });
  await iam.putUserPolicy({ UserName: 'xks', PolicyName: 'use', PolicyDocument });
}

function frontendMembers(
  directory: string,
  caFile: string,
  { certificate, port, slowPort }: { certificate: Certificate; port: number; slowPort: number },
) {
  const secretFile = join(directory, 'secret');
  writeFileSync(secretFile, credential.RawSecretAccessKey, { mode: 0o600 });
  const credentials = [{ accessKeyId: credential.AccessKeyId, secretFile }];
  return {
    externalKeyStores: {
      proxies: [
        { host: 'keyfleet.test', address: `127.0.0.1:${port}`, caFile },
        { host: 'slow.test', address: `127.0.0.1:${slowPort}`, caFile },
      ],
    },
    xksProxy: {
      listen: `127.0.0.1:${port}`,
      ...certificate,
      paths: [{ prefix: '', accountId, region, userName: 'xks', credentials }],
    },
  };
}

function clusterMember({ label, environment }: SoftHsm, trustAnchorFile: string) {
  const token = { label };
  return { id: CloudHsmClusterId, accountId, region, module: SoftHsm.module, token, trustAnchorFile, environment };
}

async function reconfigure(cluster: TestCluster, name: string, members: object): Promise<void> {
  const file = cluster.home.in('config', `${name}.json`);
  await cluster.kill(name);
  writeFileSync(file, JSON.stringify({ ...(JSON.parse(readFileSync(file, 'utf8')) as object), ...members }));
  await cluster.restart(name);
}

/** A proxy of somebody else's. Resolves to its port. */
async function startProxy(
  { certificateFile, keyFile }: Certificate,
  slow: StoreCluster['slow'],
  resources: AsyncDisposableStack,
): Promise<number> {
  const proxy = new FakeXksProxy();
  const options = { cert: readFileSync(certificateFile), key: readFileSync(keyFile) };
  const server = createServer(options, (incoming, response) => {
    const chunks: Buffer[] = [];
    incoming.on('data', (chunk: Buffer) => void chunks.push(chunk));
    incoming.on('end', () => {
      const { status, body } = proxy.answer({ path: incoming.url ?? '', body: Buffer.concat(chunks) });
      proxy.requests.length = 0;
      setTimeout(() => response.writeHead(status).end(body), slow.delayMs);
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  resources.defer(() => {
    server.close();
    server.closeAllConnections();
  });
  return (server.address() as AddressInfo).port;
}

async function freePort(): Promise<number> {
  await using server = createTcpServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}
