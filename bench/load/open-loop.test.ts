import { once } from 'node:events';
import { createServer, type Server, type Socket } from 'node:net';
import type { AddressInfo } from 'node:net';
import { expect, test } from 'vitest';
import { Latencies } from '../histogram/latencies.ts';
import { Generators } from './generators.ts';
import type { LoadJob } from './job.ts';

const ANSWER = 'HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n';
const STALL_MS = 400;

/** Answers at once, except that from the first request on there is one time in which it answers nothing. */
async function startStallingServer(stallAfterMs: number): Promise<Server> {
  let began: number | undefined;
  const held: Socket[] = [];
  const server = createServer((socket) => {
    socket.on('error', () => socket.destroy());
    socket.on('data', () => {
      const now = performance.now();
      began ??= now;
      const stalls = now - began >= stallAfterMs && now - began < stallAfterMs + STALL_MS;
      if (!stalls) return socket.write(ANSWER);
      if (held.push(socket) > 1) return undefined;
      setTimeout(() => held.forEach((one) => one.write(ANSWER)), began + stallAfterMs + STALL_MS - now);
      return undefined;
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return server;
}

async function loadWhileStalling(loop: LoadJob['loop']): Promise<{ latencies: Latencies; requests: number }> {
  const server = await startStallingServer(300);
  using generators = new Generators(1);
  const { port } = server.address() as AddressInfo;
  const result = await generators.start({
    endpoint: { transport: 'http1', tls: false, host: '127.0.0.1', port },
    pools: [{ operation: 'GET', weight: 1, requests: [{ method: 'GET', path: '/', headers: {}, body: '' }] }],
    choice: { kind: 'turn' },
    loop,
    warmupMs: 0,
    measureMs: 1200,
    sliceMs: 100,
  }).result;
  server.close();
  return { latencies: Latencies.decode(result.latencies), requests: result.requests };
}

test('a server that stalls shows in the tail of the open loop: what would have arrived meanwhile waited too', async () => {
  const { latencies, requests } = await loadWhileStalling({ kind: 'open', connections: 4, perSecond: 200 });
  // Everything that was intended is there, and a third of the time was a stall: a tenth waited three quarters of it or longer.
  expect(requests).toBe(240);
  expect(latencies.quantile(0.95)).toBeGreaterThan(STALL_MS / 2);
  expect(latencies.quantile(0.99)).toBeGreaterThan(STALL_MS * 0.75);
}, 30_000);

test('the closed loop hides the same stall, which is why there is an open one', async () => {
  const { latencies } = await loadWhileStalling({ kind: 'closed', connections: 4 });
  expect(latencies.longest).toBeGreaterThan(STALL_MS * 0.75);
  expect(latencies.quantile(0.95)).toBeLessThan(STALL_MS / 2);
}, 30_000);
