import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { expect, test, vi } from 'vitest';
import { createKmsClient } from './client.ts';

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

test('a client that is told nothing sends plaintext to its own machine alone', { timeout: 30_000 }, async () => {
  const http2 = 'PRI * HTTP/2.0';
  expect(await sentTo('127.0.0.1')).toContain(http2);
  // Reaches this machine too, but is not its loopback address.
  expect(await sentTo('0.0.0.0')).not.toContain(http2);
});
