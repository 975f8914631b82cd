import { Client, type ServiceDefinition, Server, ServerCredentials } from '@grpc/grpc-js';
import { beforeAll, expect, onTestFinished, test, vi } from 'vitest';
import { CertificateAuthority } from '../../../../tools/certificates.ts';
import { channelCredentials } from './credentials.ts';

let first: CertificateAuthority;
let second: CertificateAuthority;
beforeAll(async () => {
  first = await CertificateAuthority.create('first');
  second = await CertificateAuthority.create('second');
});

const bytes = { serialize: (value: Buffer) => value, deserialize: (value: Buffer) => value };
const path = '/test/Ask';
const ask = {
  path,
  requestStream: false,
  responseStream: false,
  requestSerialize: bytes.serialize,
  requestDeserialize: bytes.deserialize,
  responseSerialize: bytes.serialize,
  responseDeserialize: bytes.deserialize,
} as const;

/** A server with a certificate of this authority, which counts its connections. */
async function startServer(authority: CertificateAuthority, validMs?: number) {
  const { certificate, key } = await authority.issue('server', ['localhost'], validMs);
  const server = new Server();
  const peers = new Set<string>();
  server.addService({ ask } as ServiceDefinition, {
    ask: (call: { getPeer(): string }, done: (error: null, answer: Buffer) => void) => {
      peers.add(call.getPeer());
      done(null, Buffer.of());
    },
  });
  const pair = { private_key: Buffer.from(key), cert_chain: Buffer.from(certificate) };
  const port = await new Promise<number>((resolve, reject) =>
    server.bindAsync('127.0.0.1:0', ServerCredentials.createSsl(null, [pair]), (error, bound) =>
      error === null ? resolve(bound) : reject(error),
    ),
  );
  onTestFinished(() => server.forceShutdown());
  return { port, peers };
}

function newClient(...trusted: readonly CertificateAuthority[]) {
  const pem = (authorities: readonly CertificateAuthority[]) =>
    authorities.map(({ certificate }) => certificate).join('');
  const listeners: (() => void)[] = [];
  const files = { content: { ca: pem(trusted) }, onChange: (listener: () => void) => void listeners.push(listener) };
  const channel = channelCredentials(files, { now: () => Date.now() });
  return {
    trust(...authorities: readonly CertificateAuthority[]): void {
      files.content = { ca: pem(authorities) };
      for (const tell of listeners) tell();
    },
    /** Asks over one channel; whether it is answered. */
    to({ port }: { port: number }) {
      const options = { 'grpc.ssl_target_name_override': 'localhost' };
      const client = new Client(`127.0.0.1:${port}`, channel, options);
      onTestFinished(() => client.close());
      return () =>
        new Promise<boolean>((resolve) =>
          client.makeUnaryRequest(path, bytes.serialize, bytes.deserialize, Buffer.of(), (error) =>
            resolve(error === null),
          ),
        );
    },
  };
}

test('connections to a server whose authority is taken out are ended at once, and the others go on', async () => {
  const [gone, honest] = [await startServer(first), await startServer(second)];
  const client = newClient(first, second);
  const [askGone, askHonest] = [client.to(gone), client.to(honest)];
  expect([await askGone(), await askHonest()]).toEqual([true, true]);
  client.trust(second);
  await expect.poll(askGone).toBe(false);
  expect([gone.peers.size, await askHonest(), honest.peers.size]).toEqual([1, true, 1]);
});

test('a connection ends with the certificate of its server', async () => {
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval', 'Date'] });
  onTestFinished(() => void vi.useRealTimers());
  const [brief, longer] = [await startServer(first, 3_600_000), await startServer(first)];
  const client = newClient(first);
  const [askBrief, askLonger] = [client.to(brief), client.to(longer)];
  expect([await askBrief(), await askLonger()]).toEqual([true, true]);
  vi.advanceTimersByTime(3_500_000);
  expect([await askBrief(), brief.peers.size]).toEqual([true, 1]);
  vi.advanceTimersByTime(200_000);
  // Node.js itself judges the next certificate by the true time.
  await vi.waitFor(async () => expect([await askBrief(), brief.peers.size]).toEqual([true, 2]));
  expect([await askLonger(), longer.peers.size]).toEqual([true, 1]);
});
