import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { copyFileSync, readFileSync, writeFileSync } from 'node:fs';
import { mkdtempDisposable } from 'node:fs/promises';
import { createServer, type Server } from 'node:https';
import { createServer as createTcpServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TLSSocket } from 'node:tls';
import { CreateUserCommand, IAMClient, PutUserPolicyCommand } from '@aws-sdk/client-iam';
import { KMS } from '@aws-sdk/client-kms';
import { type Certificate, TestAuthority } from './certificates.ts';
import { startTestCluster, type TestCluster } from './cluster.ts';
import { FakeXksProxy } from './fakes/xks-proxy.ts';

// A cluster with external key stores over real TLS: Keyfleet as the client of proxies that share no code with it, and
// as a proxy itself. Each test file starts its own.
const resources = new AsyncDisposableStack();
export const credential = {
  AccessKeyId: 'A2B3C4D5E6F7A2B3C4D5',
  RawSecretAccessKey: randomBytes(32).toString('base64'),
};
export const nextCredential = {
  AccessKeyId: 'Z2B3C4D5E6F7A2B3C4D5',
  RawSecretAccessKey: randomBytes(32).toString('base64'),
};
export const account = '111122223333';
export const fake = new FakeXksProxy();
/** More than a handshake takes on a busy machine. */
const PROXY_TIMEOUT = '2s';
/** `delayMs`: how long the fake takes. `shown`: the certificate that it was shown last, by its SHA-256. */
export const fakeServer: { delayMs: number; shown: string | undefined } = { delayMs: 0, shown: undefined };
/** Which Keyfleet shows the fake. */
export let shown: Certificate;
export let others: TestAuthority;
/** Whom Keyfleet trusts as later.test: not the others, at first. */
export let laterCaFile: string;
export let cluster: TestCluster;
export let kms: KMS;
export let ca: Buffer;
export let client: Certificate;
/** Of the same roots, and another name. */
export let stranger: Certificate;
export let proxyPort: number;
export let authority: TestAuthority;
/** Which Keyfleet shows as a proxy. */
export let server: Certificate;

export async function startExternalKeyStores(): Promise<void> {
  const directory = resources.use(await mkdtempDisposable(join(tmpdir(), 'keyfleet-xks-'))).path;
  authority = await TestAuthority.make(directory, 'roots');
  others = await TestAuthority.make(directory, 'others');
  ca = readFileSync(authority.caFile);
  shown = await authority.issue('shown.test');
  laterCaFile = join(directory, 'later-ca.pem');
  copyFileSync(authority.caFile, laterCaFile);
  client = await authority.issue('cks.kms.us-east-1.amazonaws.com');
  stranger = await authority.issue('stranger.test');
  server = await authority.issue('keyfleet.test');
  const ports = {
    fake: await listen(newFake(await authority.issue('fake.test'))),
    wrong: await listen(newFake(await others.issue('wrong.test'))),
    later: await listen(newFake(await others.issue('later.test'))),
    misnamed: await listen(newFake(await authority.issue('somebody-else.test'))),
    hanging: await listenHanging(),
  };
  proxyPort = await freePort();
  cluster = resources.use(await startTestCluster({ workers: 2, accountId: account }));
  const secretFiles = [credential, nextCredential].map(({ AccessKeyId: accessKeyId, RawSecretAccessKey }) => {
    const secretFile = join(directory, accessKeyId);
    writeFileSync(secretFile, RawSecretAccessKey, { mode: 0o600 });
    return { accessKeyId, secretFile };
  });
  const proxy = (host: string, port: number, more: object = {}) => ({
    host,
    address: `127.0.0.1:${port}`,
    caFile: authority.caFile,
    ...more,
  });
  await reconfigure({
    externalKeyStores: {
      proxies: [
        proxy('fake.test', ports.fake, { clientCertificate: shown }),
        proxy('later.test', ports.later, { caFile: laterCaFile }),
        proxy('wrong.test', ports.wrong),
        proxy('misnamed.test', ports.misnamed),
        proxy('hanging.test', ports.hanging),
        proxy('away.test', await freePort()),
        proxy('keyfleet.test', proxyPort, { clientCertificate: client }),
      ],
      timeout: PROXY_TIMEOUT,
    },
    xksProxy: {
      listen: `127.0.0.1:${proxyPort}`,
      ...server,
      client: { caFile: authority.caFile, commonName: 'cks.kms.us-east-1.amazonaws.com' },
      paths: [
        { prefix: '/a', accountId: account, region: 'us-east-1', userName: 'xks', credentials: secretFiles },
        { prefix: '/b', accountId: account, region: 'us-east-1', userName: 'nobody', credentials: secretFiles },
      ],
    },
  });
  kms = newKms();
  await makeUser();
}

export function stopExternalKeyStores(): Promise<void> {
  return resources.disposeAsync();
}

function newKms(): KMS {
  const { endpoint, credentials } = cluster;
  return resources.adopt(new KMS({ endpoint, credentials, region: 'us-east-1', maxAttempts: 1 }), (it) => it.destroy());
}

async function makeUser(): Promise<void> {
  const { endpoint, credentials } = cluster;
  const iam = new IAMClient({ endpoint, credentials, region: 'us-east-1' });
  resources.defer(() => iam.destroy());
  await iam.send(new CreateUserCommand({ UserName: 'xks' }));
  const Statement = { Effect: 'Allow', Action: ['kms:Encrypt', 'kms:Decrypt', 'kms:DescribeKey'], Resource: '*' };
  const PolicyDocument = JSON.stringify({ Version: '2012-10-17', Statement });
  await iam.send(new PutUserPolicyCommand({ UserName: 'xks', PolicyName: 'use', PolicyDocument }));
}

async function reconfigure(members: object): Promise<void> {
  const file = cluster.home.in('config', 'frontend.json');
  await cluster.kill('frontend');
  writeFileSync(file, JSON.stringify({ ...(JSON.parse(readFileSync(file, 'utf8')) as object), ...members }));
  await cluster.restart('frontend');
}

function newFake(certificate: Certificate): Server {
  const options = { ...keysOf(certificate), requestCert: true, rejectUnauthorized: false };
  return createServer(options, (incoming, response) => {
    fakeServer.shown = (incoming.socket as TLSSocket).getPeerCertificate().fingerprint256;
    const chunks: Buffer[] = [];
    incoming.on('data', (chunk: Buffer) => void chunks.push(chunk));
    incoming.on('end', () => {
      const { status, body } = fake.answer({ path: incoming.url ?? '', body: Buffer.concat(chunks) });
      setTimeout(() => response.writeHead(status).end(body), fakeServer.delayMs);
    });
  });
}

async function listen(server: Pick<Server, 'listen' | 'address' | 'close'> & NodeJS.EventEmitter): Promise<number> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  resources.defer(() => void server.close());
  if ('closeAllConnections' in server) resources.defer(() => (server as Server).closeAllConnections());
  return (server.address() as { port: number }).port;
}

/** Takes connections and never says a word. */
function listenHanging(): Promise<number> {
  const server = createTcpServer((socket) => {
    resources.defer(() => void socket.destroy());
    socket.on('error', () => {});
  });
  return listen(server as never);
}

async function freePort(): Promise<number> {
  await using server = createTcpServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  return (server.address() as { port: number }).port;
}

/** The name of what a call is refused with, and what is said. */
export const refusalOf = (answer: Promise<unknown>): Promise<string> => answer.then(() => 'it succeeded', String);

let made = 0;
export const storeAt = (host: string, prefix = `/s${made++}`, overrides: object = {}) =>
  ({
    CustomKeyStoreName: `${host}${prefix}`,
    CustomKeyStoreType: 'EXTERNAL_KEY_STORE',
    XksProxyUriEndpoint: `https://${host}`,
    XksProxyUriPath: `${prefix}/kms/xks/v1`,
    XksProxyAuthenticationCredential: credential,
    XksProxyConnectivity: 'PUBLIC_ENDPOINT',
    ...overrides,
  }) as const;

export async function connected(host: string, prefix?: string): Promise<string> {
  const { CustomKeyStoreId } = await kms.createCustomKeyStore(storeAt(host, prefix));
  await kms.connectCustomKeyStore({ CustomKeyStoreId });
  return CustomKeyStoreId!;
}

export async function keyIn(CustomKeyStoreId: string, XksKeyId: string): Promise<string> {
  const { KeyMetadata } = await kms.createKey({ Origin: 'EXTERNAL_KEY_STORE', CustomKeyStoreId, XksKeyId });
  return KeyMetadata!.KeyId!;
}

export function keysOf({ certificateFile, keyFile }: Certificate) {
  return { cert: readFileSync(certificateFile), key: readFileSync(keyFile) };
}
