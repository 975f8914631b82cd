import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { expect, test, vi } from 'vitest';
import { NatsConfig, startNotices } from './notices.ts';

async function listen(onConnection: (socket: Socket) => void) {
  const server = createServer((socket) => {
    socket.on('error', () => {});
    onConnection(socket);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return { port, [Symbol.dispose]: () => server.close() };
}

test('without TLS, only the servers that are configured are used, whatever others they name', async () => {
  let [toNamed, toConfigured] = [0, 0];
  using named = await listen((socket) => {
    toNamed++;
    socket.destroy();
  });
  // Names another server, takes the client, and lets it go.
  using configured = await listen((socket) => {
    toConfigured++;
    const info = { server_id: 'a', version: '2.10.0', proto: 1, max_payload: 1_000, headers: true };
    socket.write(`INFO ${JSON.stringify({ ...info, connect_urls: [`127.0.0.1:${named.port}`] })}\r\n`);
    socket.on('data', () => {
      socket.write('PONG\r\n');
      setTimeout(() => socket.destroy(), 100);
    });
  });
  const nats = NatsConfig.parse({ servers: [`nats://127.0.0.1:${configured.port}`] });
  await using _notices = startNotices({ nats, name: 'test' });
  await vi.waitUntil(() => toConfigured >= 4 || toNamed > 0, { timeout: 60_000 });
  expect(toNamed).toBe(0);
});
