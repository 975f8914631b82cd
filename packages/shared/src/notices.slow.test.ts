import { once } from 'node:events';
import { mkdtempDisposable, writeFile } from 'node:fs/promises';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
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

test('while NATS refuses a password it is tried again and again, as the file has it then', async () => {
  await using folder = await mkdtempDisposable(join(tmpdir(), 'keyfleet-'));
  const passwordFile = join(folder.path, 'password');
  await writeFile(passwordFile, 'old', { mode: 0o600 });
  let valid = 'old';
  const tried: string[] = [];
  const open = new Set<Socket>();
  using server = await listen((socket) => {
    open.add(socket);
    const info = {
      server_id: 'a',
      version: '2.10.0',
      proto: 1,
      max_payload: 1_000,
      headers: true,
      auth_required: true,
    };
    socket.write(`INFO ${JSON.stringify(info)}\r\n`);
    socket.on('data', (data) => {
      const [, password] = /"pass":"(\w+)"/.exec(data.toString()) ?? [];
      if (password !== undefined) tried.push(password);
      if (password !== undefined && password !== valid) socket.end("-ERR 'Authorization Violation'\r\n");
      else if (data.includes('PING')) socket.write('PONG\r\n');
    });
  });
  const nats = NatsConfig.parse({ servers: [`nats://127.0.0.1:${server.port}`], username: 'frontend', passwordFile });
  await using notices = startNotices({ nats, name: 'test' });
  await vi.waitUntil(() => notices.connection() !== undefined, { timeout: 10_000 });

  valid = 'new';
  for (const socket of open) socket.destroy();
  await vi.waitUntil(() => tried.length >= 4, { timeout: 30_000 });
  expect(notices.connection()).toBeUndefined();
  await writeFile(passwordFile, 'new', { mode: 0o600 });
  await vi.waitUntil(() => notices.connection() !== undefined, { timeout: 30_000 });
  expect(tried.at(-1)).toBe('new');
});

test('a subscription that a server refused is made again with the next connection', async () => {
  let connections = 0;
  let heard = '';
  using server = await listen((socket) => {
    const isFirst = connections++ === 0;
    const info = { server_id: 'a', version: '2.10.0', proto: 1, max_payload: 1_000, headers: true };
    socket.write(`INFO ${JSON.stringify(info)}\r\n`);
    socket.on('data', (data) => {
      if (data.includes('PING')) socket.write('PONG\r\n');
      if (!isFirst) heard += data.toString();
      else if (data.includes('SUB keyfleet.domain.token')) {
        socket.write(`-ERR 'Permissions Violation for Subscription to "keyfleet.domain.token"'\r\n`);
        setTimeout(() => socket.destroy(), 100);
      }
    });
  });
  const nats = NatsConfig.parse({ servers: [`nats://127.0.0.1:${server.port}`] });
  await using notices = startNotices({ nats, name: 'test' });
  let looks = 0;
  notices.subscribe('domainToken', () => looks++);
  await vi.waitFor(() => expect(heard).toContain('SUB keyfleet.domain.token'), { timeout: 10_000 });
  expect(looks).toBe(2);
});
