import { once } from 'node:events';
import { mkdtempDisposable } from 'node:fs/promises';
import { connect as connectTcp, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect, type TLSSocket } from 'node:tls';
import { readTls, TlsFiles } from '@keyfleet/shared/tls/tls-files';
import { TestAuthority } from '@keyfleet/test-support/certificates';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import type { PortLimits } from '../edge/http-port.ts';
import { listenerLimits, startListener } from './listener.ts';
import { XksPath } from './proxy.ts';

const COMMON_NAME = 'cks.kms.us-east-1.amazonaws.com';
const REQUEST = 'POST /mine/kms/xks/v1/health HTTP/1.1\r\nHost: localhost\r\n';
const HEALTH = JSON.stringify({ requestMetadata: { kmsRequestId: '1', kmsOperation: 'CreateKey' } });

const all = new AsyncDisposableStack();
let certificates: { server: TlsFiles; client: ReturnType<typeof readTls> };
beforeAll(async () => {
  const folder = all.use(await mkdtempDisposable(join(tmpdir(), 'keyfleet-')));
  const authority = await TestAuthority.make(folder.path, 'roots');
  const { caFile } = authority;
  const config = { ...(await authority.issue('localhost')), caFile };
  const server = all.use(new TlsFiles(config, { field: 'xksProxy', onProblem: () => {} }));
  certificates = { server, client: readTls({ ...(await authority.issue(COMMON_NAME)), caFile }, { field: 'client' }) };
});
afterAll(() => all.disposeAsync());

/** What is genuine and is being worked for, until it is let go. */
let working: (() => void)[];
beforeEach(() => void (working = []));

/** A signature is the one header `genuine`. */
const path = new XksPath({
  accountId: '111122223333',
  region: 'us-east-1',
  keys: { findKey: async () => undefined },
  hsm: { execute: async () => expect.fail() },
  pipeline: {
    process: async (request, wanted) => {
      if (!request.headers.has('genuine')) throw new Error('not signed');
      request.onGenuine();
      await new Promise<void>((resolve) => working.push(resolve));
      return wanted.format(undefined, expect.anything());
    },
  },
});

async function start({ isMutual = false, ...limits }: { isMutual?: boolean } & Partial<PortLimits> = {}) {
  const listener = await startListener({
    config: {
      listen: { host: '127.0.0.1', port: 0, text: '127.0.0.1:0' },
      certificateFile: '',
      keyFile: '',
      client: isMutual ? { caFile: '', commonName: COMMON_NAME } : undefined,
      maxInFlight: 2,
      paths: [],
    },
    tls: certificates.server,
    paths: new Map([['/mine', path]]),
    limits: { ...listenerLimits, ...limits },
    drainMs: 0,
    maxConnectionAgeMs: 300_000,
  });
  return listener;
}

async function open(port: number): Promise<TLSSocket> {
  const socket = connect({ ...certificates.client, host: '127.0.0.1', port, servername: 'localhost' });
  await once(socket, 'secureConnect');
  return socket;
}

/** The first line of what arrives next. */
async function answerOn(socket: Socket): Promise<string> {
  const [chunk] = (await once(socket, 'data')) as [Buffer];
  return chunk.toString().split('\r\n')[0]!;
}

function send(socket: Socket): void {
  socket.write(`${REQUEST}Genuine: yes\r\nContent-Length: ${HEALTH.length}\r\n\r\n${HEALTH}`);
}

/** The next genuine request that is worked for. */
async function nextWorkedFor(): Promise<() => void> {
  await expect.poll(() => working.length, { interval: 2 }).toBeGreaterThan(0);
  return working.shift()!;
}

test('requests whose bodies are still to come take no place from genuine ones', async () => {
  await using listener = await start();
  for (const _ of [1, 2, 3]) {
    const stranger = await open(listener.port);
    stranger.write(`${REQUEST}Expect: 100-continue\r\nContent-Length: 100\r\n\r\n`);
    expect(await answerOn(stranger)).toBe('HTTP/1.1 100 Continue');
  }
  const caller = await open(listener.port);
  send(caller);
  (await nextWorkedFor())();
  expect(await answerOn(caller)).toBe('HTTP/1.1 200 OK');
});

test('no more genuine requests than maxInFlight are worked for at once, and each gives its place back', async () => {
  await using listener = await start();
  const callers = await Promise.all([1, 2, 3].map(() => open(listener.port)));
  const [first, second, third] = callers as [TLSSocket, TLSSocket, TLSSocket];
  send(first);
  const release = await nextWorkedFor();
  send(second);
  await nextWorkedFor();
  send(third);
  expect(await answerOn(third)).toBe('HTTP/1.1 429 Too Many Requests');
  release();
  expect(await answerOn(first)).toBe('HTTP/1.1 200 OK');
  send(third);
  (await nextWorkedFor())();
  expect(await answerOn(third)).toBe('HTTP/1.1 200 OK');
});

test('connections that say nothing give way, also before they have shown a certificate', async () => {
  await using listener = await start({ isMutual: true, connections: 4 });
  const silent: Socket[] = [];
  for (const _ of [1, 2, 3, 4]) {
    const socket = connectTcp(listener.port, '127.0.0.1').on('error', () => {});
    silent.push(socket);
    await once(socket, 'connect');
  }
  const oldest = once(silent[0]!, 'close');
  const caller = await open(listener.port);
  send(caller);
  (await nextWorkedFor())();
  expect(await answerOn(caller)).toBe('HTTP/1.1 200 OK');
  await oldest;
  silent.forEach((socket) => socket.destroy());
});

test('where a certificate is asked for, who resumes a session has shown one too', async () => {
  await using listener = await start({ isMutual: true });
  const options = { ...certificates.client, host: '127.0.0.1', port: listener.port, servername: 'localhost' };
  let session: Buffer | undefined;
  for (const _ of [1, 2]) {
    const socket = connect({ ...options, ...(session && { session }) });
    socket.on('session', (handedOut: Buffer) => (session = handedOut));
    await once(socket, 'secureConnect');
    send(socket);
    (await nextWorkedFor())();
    expect(await answerOn(socket)).toBe('HTTP/1.1 200 OK');
    expect(socket.isSessionReused()).toBe(false);
    socket.destroy();
  }
});

test('a request that does not state the length of its body ends its connection', async () => {
  await using listener = await start();
  const stranger = await open(listener.port);
  stranger.write(`${REQUEST}Genuine: yes\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n{\r\n`);
  expect(await answerOn(stranger)).toBe('HTTP/1.1 400 Bad Request');
  await once(stranger, 'close');
  expect(working).toEqual([]);
});

test('a request that takes too long to arrive ends its connection soon', async () => {
  await using listener = await start({ headersTimeoutMs: 1_000, requestTimeoutMs: 1_000 });
  const stranger = await open(listener.port);
  stranger.write(`${REQUEST}Content-Length: 100\r\n\r\n`);
  expect(await answerOn(stranger)).toBe('HTTP/1.1 408 Request Timeout');
  await once(stranger, 'close');
});
