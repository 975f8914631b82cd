import { CreateKeyCommand, DecryptCommand, EncryptCommand, type KMSClient } from '@aws-sdk/client-kms';
import { Client, credentials, status } from '@grpc/grpc-js';
import { Hsm } from '@keyfleet/proto';
import { unary } from '@keyfleet/proto/unary';
import { healthService } from '@keyfleet/shared/grpc/health';
import { kmsClient } from '@keyfleet/test-support/aws-client';
import { startTestCluster, type TestCluster } from '@keyfleet/test-support/cluster';
import { eventually } from '@keyfleet/test-support/fleet';
import { copyFileSync, readFileSync, writeFileSync } from 'node:fs';
import { connect as connectTcp } from 'node:net';
import { connect, type ConnectionOptions, type PeerCertificate } from 'node:tls';
import { once } from 'node:events';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { CertificateAuthority } from '../../tools/certificates.ts';

let cluster: TestCluster;
let kms: KMSClient;

beforeAll(async () => {
  cluster = await startTestCluster({ tls: true });
  kms = kmsClient(cluster);
});

afterAll(async () => {
  kms?.destroy();
  await cluster?.[Symbol.asyncDispose]();
});

const file = (name: string): string => cluster.home.in('tls', name);
const read = (name: string): Buffer => readFileSync(file(name));

/** The certificate that is shown; rejects as the connection does. */
async function shownAt(port: number, options: ConnectionOptions = {}): Promise<PeerCertificate> {
  const socket = connect({ port, host: '127.0.0.1', ca: cluster.ca, servername: 'localhost', ...options });
  try {
    await once(socket, 'secureConnect');
    return socket.getPeerCertificate();
  } finally {
    socket.destroy();
  }
}

test('an SDK that believes the authority works as ever', async () => {
  const { KeyMetadata } = await kms.send(new CreateKeyCommand({}));
  const Plaintext = Buffer.from('over TLS');
  const { CiphertextBlob } = await kms.send(new EncryptCommand({ KeyId: KeyMetadata!.KeyId!, Plaintext }));
  const opened = await kms.send(new DecryptCommand({ CiphertextBlob }));
  expect(Buffer.from(opened.Plaintext!)).toEqual(Plaintext);
});

test('the edge speaks TLS 1.2 and 1.3, and nothing older', async () => {
  for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
    await shownAt(cluster.ports.http, { minVersion: version, maxVersion: version });
  }
  const old: ConnectionOptions = { minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: 'DEFAULT@SECLEVEL=0' };
  await expect(shownAt(cluster.ports.http, old)).rejects.toThrow(/protocol version|unsupported protocol/i);
});

describe('unencrypted', () => {
  test.each(['http', 'grpc', 'domainManager'] as const)('nothing is answered at the port %s', async (port) => {
    const socket = connectTcp(cluster.ports[port], '127.0.0.1');
    socket.on('error', () => undefined);
    let received = '';
    socket.on('data', (chunk: Buffer) => (received += chunk.toString('latin1')));
    socket.write('POST / HTTP/1.1\r\nhost: localhost\r\n\r\n');
    await once(socket, 'close');
    expect(received).not.toContain('HTTP/1.1');
  });
});

test('a caller without a certificate of the authority reaches no worker', async () => {
  const address = `localhost:${cluster.ports.workers[0]}`;
  const other = await (await CertificateAuthority.create('somebody')).issue('somebody', ['localhost']);
  const describe = async (channel: ReturnType<typeof credentials.createSsl>) => {
    using client = Object.assign(new Hsm(address, channel), { [Symbol.dispose]: () => client.close() });
    return await unary(client, Hsm.service.Describe, {}, 30_000);
  };
  const ca = read('ca.pem');
  const refused = { code: status.UNAVAILABLE, details: expect.not.stringContaining('Channel closed') as string };
  await expect(describe(credentials.createInsecure())).rejects.toMatchObject(refused);
  await expect(describe(credentials.createSsl(ca))).rejects.toMatchObject(refused);
  const stranger = credentials.createSsl(ca, Buffer.from(other.key), Buffer.from(other.certificate));
  await expect(describe(stranger)).rejects.toMatchObject(refused);
  const known = await describe(credentials.createSsl(ca, read('operator.key'), read('operator.pem')));
  expect(known.member_id).toBe('hsm-worker-1');
});

test('a new certificate is shown to new connections, and old ones go on', async () => {
  const open = connect({ port: cluster.ports.http, host: '127.0.0.1', ca: cluster.ca, servername: 'localhost' });
  await once(open, 'secureConnect');
  // One on which nothing was asked yet is ended after some seconds.
  const asks = async (): Promise<string> => {
    open.write('GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n');
    return String((await once(open, 'data'))[0]);
  };
  expect(await asks()).toMatch(/^HTTP\/1\.1 200/);
  const before = await shownAt(cluster.ports.http);
  // Another of the same authority: what is only renewed differs as much.
  copyFileSync(file('operator.pem'), file('edge.pem'));
  copyFileSync(file('operator.key'), file('edge.key'));
  await eventually('the new one is shown', async () => {
    const { fingerprint256 } = await shownAt(cluster.ports.http);
    return fingerprint256 !== before.fingerprint256;
  });
  expect(await asks()).toMatch(/^HTTP\/1\.1 200/);
  open.destroy();
});

test('files that do not fit together are reported, and those before go on being used', async () => {
  const before = await shownAt(cluster.ports.http);
  writeFileSync(file('edge.pem'), read('frontend.pem'));
  const log = () => readFileSync(cluster.home.in('log', 'frontend.log'), 'utf8');
  await eventually('it says so', () => log().includes('changed TLS files cannot be used'));
  expect((await shownAt(cluster.ports.http)).fingerprint256).toBe(before.fingerprint256);
});

// The last one: Redis and NATS keep their certificates of the authority that is taken out.
test('who has a certificate of an authority that was replaced is ended, and customers notice nothing', async () => {
  const { KeyMetadata } = await kms.send(new CreateKeyCommand({}));
  const encrypt = () => kms.send(new EncryptCommand({ KeyId: KeyMetadata!.KeyId!, Plaintext: Buffer.from('on') }));
  const worker = cluster.ports.workers[0]!;
  const [old, oldCa] = [{ cert: read('operator.pem'), key: read('operator.key') }, read('ca.pem')];
  const next = await CertificateAuthority.create('another authority');
  const shownBy = (client: typeof old) => shownAt(worker, { ...client, ca: [oldCa, next.certificate] });
  writeFileSync(file('ca.pem'), oldCa + next.certificate);
  const { watch, ended } = watchHealth(`localhost:${worker}`, old);
  await once(watch, 'data');

  for (const holder of ['frontend', 'hsm-worker-1', 'hsm-worker-2', 'domain-manager', 'operator']) {
    const { certificate, key } = await next.issue(holder, ['localhost', '127.0.0.1']);
    writeFileSync(file(`${holder}.key`), key);
    writeFileSync(file(`${holder}.pem`), certificate);
  }
  await eventually('the worker shows the new one', async () => (await shownBy(old)).issuer.CN === 'another authority');
  await encrypt();
  writeFileSync(file('ca.pem'), next.certificate);
  let isEnded = false;
  void ended.then(() => (isEnded = true));
  while (!isEnded) await encrypt();
  expect(await ended).toMatchObject([{ code: status.UNAVAILABLE }]);
  const renewed = { cert: read('operator.pem'), key: read('operator.key') };
  expect((await shownBy(renewed)).issuer.CN).toBe('another authority');
  for (let i = 0; i < 20; i++) await encrypt();
});

/** A call that goes on for as long as its connection. */
function watchHealth(address: string, { cert, key }: { cert: Buffer; key: Buffer }) {
  const client = new Client(address, credentials.createSsl(read('ca.pem'), key, cert));
  const { path, requestSerialize, responseDeserialize } = healthService['Watch']!;
  const watch = client.makeServerStreamRequest(path, requestSerialize, responseDeserialize, { service: '' });
  const ended = once(watch, 'error').finally(() => client.close());
  return { watch, ended };
}
