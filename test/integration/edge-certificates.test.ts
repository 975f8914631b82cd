import { Client, credentials as channel } from '@grpc/grpc-js';
import { newSignedCall } from '@keyfleet/client/signed-call';
import { ServerCertificates } from '@keyfleet/shared/tls/accept-tls';
import { TlsFiles } from '@keyfleet/shared/tls/tls-files';
import { type Certificate, TestAuthority } from '@keyfleet/test-support/certificates';
import { alice, startEdge } from '@keyfleet/test-support/edge-fixture';
import { once } from 'node:events';
import { copyFileSync, readFileSync, writeFileSync } from 'node:fs';
import { mkdtempDisposable } from 'node:fs/promises';
import type { IncomingMessage } from 'node:http';
import { get } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect, type ConnectionOptions, type PeerCertificate, type TLSSocket } from 'node:tls';
import { afterAll, beforeAll, expect, test } from 'vitest';

// A frontend's edges with two certificates, as deploy/k8s has them: SNI chooses (RFC 6066, 3).

const PUBLIC = 'kms.example.com';
const OF_CLUSTER = 'frontend.keyfleet.svc';
/** Files are looked at every two seconds. */
const READ = { timeout: 15_000 };

let edge: Awaited<ReturnType<typeof startEdge>>;
let authority: TestAuthority;
let files: Record<'public' | 'ofCluster', Certificate>;
let ports: readonly (readonly [protocol: string, port: number, alpn: string])[];
const problems: string[] = [];
const resources = new AsyncDisposableStack();
beforeAll(async () => {
  const { path } = resources.use(await mkdtempDisposable(join(tmpdir(), 'keyfleet-edge-')));
  authority = await TestAuthority.make(path, 'ours');
  files = { public: await authority.issue(PUBLIC, '*.eu.example.com'), ofCluster: await authority.issue(OF_CLUSTER) };
  const watched = [files.public, files.ofCluster].map((one, index) =>
    resources.use(
      new TlsFiles(one, { field: `edgeTls.${index}`, onProblem: ({ message }) => void problems.push(message) }),
    ),
  );
  edge = resources.use(await startEdge({ certificates: new ServerCertificates(watched) }));
  ports = [
    ['HTTPS', edge.port, 'http/1.1'],
    ['gRPC', Number(edge.grpcAddress.split(':')[1]), 'h2'],
  ];
});
afterAll(() => resources.disposeAsync());

async function open(port: number, alpn: string, options: ConnectionOptions = {}): Promise<TLSSocket> {
  const socket = connect({ port, host: '127.0.0.1', ALPNProtocols: [alpn], rejectUnauthorized: false, ...options });
  await once(socket, 'secureConnect');
  return socket;
}

/** A connection on which nothing was asked yet is ended after some seconds. */
async function asksHealth(socket: TLSSocket): Promise<string> {
  socket.write('GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n');
  return String((await once(socket, 'data'))[0]);
}

/** What each edge presents to who asks for that name, `''` being none. */
async function presentedFor(servername: string, options: ConnectionOptions = {}): Promise<PeerCertificate[]> {
  const sockets = await Promise.all(ports.map(([, port, alpn]) => open(port, alpn, { servername, ...options })));
  const certificates = sockets.map((socket) => socket.getPeerCertificate());
  sockets.forEach((socket) => socket.destroy());
  return certificates;
}

const namesOf = (certificates: readonly PeerCertificate[]) => certificates.map(({ subject }) => subject.CN);
const serialsOf = async (name: string) => (await presentedFor(name)).map(({ serialNumber }) => serialNumber);
/** For public names, for none, and for that of the cluster. */
const allSerials = async () => [await serialsOf(PUBLIC), await serialsOf(''), await serialsOf(OF_CLUSTER)].flat();

test.each([
  ['the name of the first', PUBLIC, PUBLIC],
  ['another name of the first, by its wildcard', 'a.eu.example.com', PUBLIC],
  ['the name of the second', OF_CLUSTER, OF_CLUSTER],
  ['the name of the second in capitals', OF_CLUSTER.toUpperCase(), OF_CLUSTER],
  ['no name', '', PUBLIC],
  ['a name of neither', 'a.b.eu.example.com', PUBLIC],
])('for %s both edges present the right certificate, over TLS 1.2 and 1.3', async (_what, asked, expected) => {
  for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
    const presented = await presentedFor(asked, { minVersion: version, maxVersion: version });
    expect(namesOf(presented)).toEqual([expected, expected]);
  }
});

test.each([PUBLIC, OF_CLUSTER])('a client that verifies %s is answered over HTTPS and gRPC', async (servername) => {
  const ca = readFileSync(authority.caFile);
  const asked = get({ host: '127.0.0.1', port: edge.port, path: '/healthz', servername, ca, agent: false });
  const [answer] = (await once(asked, 'response')) as [IncomingMessage];
  answer.resume();
  expect(answer.statusCode).toBe(200);

  const client = new Client(edge.grpcAddress, channel.createSsl(ca), {
    'grpc.ssl_target_name_override': servername,
  });
  const call = newSignedCall(client, { credentials: alice, region: 'us-east-1', host: edge.grpcAddress });
  await call('/keyfleet.kms.v1.Kms/ListKeys', Buffer.alloc(0), Infinity);
  client.close();
});

test.each([
  ['first', () => files.public, PUBLIC, [true, true, true, true, false, false]],
  ['second', () => files.ofCluster, OF_CLUSTER, [false, false, false, false, true, true]],
] as const)(
  'a new %s certificate is presented on both edges, the other stays, and open connections go on',
  async (_which, filesOf, name, changes) => {
    const before = await allSerials();
    const opened = await open(edge.port, 'http/1.1', { servername: name });
    expect(await asksHealth(opened)).toMatch(/^HTTP\/1\.1 200/);
    const { certificateFile, keyFile } = filesOf();
    const next = await authority.issue(`next.${name}`, name, '*.eu.example.com');
    copyFileSync(next.keyFile, keyFile);
    copyFileSync(next.certificateFile, certificateFile);
    const changed = async () => (await allSerials()).map((serial, index) => serial !== before[index]);
    await expect.poll(changed, READ).toEqual(changes);
    expect(await asksHealth(opened)).toMatch(/^HTTP\/1\.1 200/);
    opened.destroy();
  },
);

test('of files that cannot be used the one from before is presented, and the other is still read again', async () => {
  const before = await allSerials();
  problems.length = 0;
  writeFileSync(files.public.certificateFile, 'no certificate');
  await expect.poll(() => problems.join(), READ).toContain(`edgeTls.0: ${files.public.certificateFile}`);
  const next = await authority.issue('last', OF_CLUSTER);
  copyFileSync(next.keyFile, files.ofCluster.keyFile);
  copyFileSync(next.certificateFile, files.ofCluster.certificateFile);
  const changed = async () => (await allSerials()).map((serial, index) => serial !== before[index]);
  await expect.poll(changed, READ).toEqual([false, false, false, false, true, true]);
});
