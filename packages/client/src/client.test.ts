import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { Server, ServerCredentials, status } from '@grpc/grpc-js';
import { Kms } from '@keyfleet/proto/kms';
import { expect, test, vi } from 'vitest';
import { createKmsClient, type KmsClientOptions } from './client.ts';

const credentials = { accessKeyId: 'AKIAIOSFODNN7EXAMPLE', secretAccessKey: 'x'.repeat(40) };

/** What a client sends first which is told nothing of the channel. */
async function sentTo(host: string): Promise<string> {
  const sent: Buffer[] = [];
  let connections = 0;
  const server = createServer((socket) => {
    connections++;
    socket
      .on('error', () => {})
      .on('data', (bytes: Buffer) => {
        sent.push(bytes);
        socket.destroy();
      });
  }).listen(0, '0.0.0.0');
  await once(server, 'listening');
  const address = `${host}:${(server.address() as AddressInfo).port}`;
  using kms = createKmsClient({ address, region: 'us-east-1', credentials });
  await expect(kms.ListKeys({})).rejects.toThrow();
  expect(connections).toBeGreaterThan(0);
  server.close();
  return Buffer.concat(sent).toString('latin1');
}

test('no proxy of the environment is asked for this machine', async () => {
  let asked = 0;
  const proxy = createServer((socket) => {
    asked++;
    socket.destroy();
  }).listen(0, '127.0.0.1');
  await once(proxy, 'listening');
  vi.stubEnv('http_proxy', `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`);
  expect(await sentTo('127.0.0.1')).toContain('PRI * HTTP/2.0');
  vi.unstubAllEnvs();
  expect(asked).toBe(0);
  proxy.close();
});

test('a client that is told nothing sends plaintext to its own machine alone', async () => {
  const http2 = 'PRI * HTTP/2.0';
  expect(await sentTo('127.0.0.1')).toContain(http2);
  // Reaches this machine too, but is not its loopback address.
  expect(await sentTo('0.0.0.0')).not.toContain(http2);
});

/** A client of a server that answers every ListKeys with these bytes. */
async function answeredWith(bytes: Buffer, options: Partial<KmsClientOptions> = {}) {
  const server = new Server();
  const { ListKeys } = Kms.service;
  const service = { ListKeys: { ...ListKeys!, responseSerialize: (answer: Buffer) => answer } };
  server.addService(service, {
    ListKeys: (_: unknown, answer: (error: null, bytes: Buffer) => void) => answer(null, bytes),
  });
  const port = await new Promise<number>((resolve, reject) =>
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) =>
      error === null ? resolve(bound) : reject(error),
    ),
  );
  const kms = createKmsClient({ address: `127.0.0.1:${port}`, region: 'us-east-1', credentials, ...options });
  return {
    kms,
    [Symbol.dispose]() {
      kms[Symbol.dispose]();
      server.forceShutdown();
    },
  };
}

test('a call whose credentials do not come ends at its deadline', async () => {
  const credentials = () => new Promise<never>(() => {});
  using server = await answeredWith(Buffer.alloc(0), { credentials, timeoutMs: 50 });
  await expect(server.kms.ListKeys({})).rejects.toMatchObject({
    code: status.UNAUTHENTICATED,
    details: 'the call could not be signed: its deadline came before its credentials',
  });
});

test('a call that is due before it begins ends too', async () => {
  using server = await answeredWith(Buffer.alloc(0), { timeoutMs: 0 });
  await expect(server.kms.ListKeys({})).rejects.toMatchObject({ code: status.DEADLINE_EXCEEDED });
});

test('a provider that has no credentials is heard', async () => {
  const provider = () => Promise.reject(new Error('no token'));
  using server = await answeredWith(Buffer.alloc(0), { credentials: provider });
  await expect(server.kms.ListKeys({})).rejects.toMatchObject({
    code: status.UNAUTHENTICATED,
    message: '16 UNAUTHENTICATED: the call could not be signed: no token',
  });
});

test('a provider that throws is heard, and is over with that', async () => {
  const provider = (): Promise<never> => {
    throw new Error('no file');
  };
  using server = await answeredWith(Buffer.alloc(0), { credentials: provider, timeoutMs: 20 });
  await expect(server.kms.ListKeys({})).rejects.toMatchObject({ details: 'the call could not be signed: no file' });
  // At the deadline nobody waits any more.
  await delay(40);
});

test('an answer that is no message fails the call, and not the program', async () => {
  using server = await answeredWith(Buffer.of(0xff));
  await expect(server.kms.ListKeys({})).rejects.toThrow();
});
