import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { duplexPair } from 'node:stream';
import { setImmediate } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { Connections } from './connections.ts';
import { Exchange } from './exchange.ts';
import { httpLimits } from './http.ts';
import type { Connection } from './sender.ts';
import { TrustedProxies } from './trusted-proxies.ts';

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
});
afterEach(() => {
  vi.useRealTimers();
});

/** Both ends of a connection to a server that refuses every request when it has the headers. */
function refusedClient(body: string) {
  return clientOf((exchange) => exchange.send({ status: 400, contentType: 'text/plain', body }));
}

function clientOf(serve: (exchange: Exchange) => void, maxConnectionAgeMs = 300_000) {
  const connections = new Connections(httpLimits, new TrustedProxies([]));
  const [client, socket] = duplexPair() as unknown as [Socket, Socket];
  const server = createServer();
  let parsed = 0;
  server.on('request', (request: IncomingMessage, response: ServerResponse) => {
    parsed++;
    const connection = connections.of(socket)!;
    const exchange = new Exchange({ request, response, connection, isTls: false, maxConnectionAgeMs });
    exchange.begin(() => serve(exchange));
  });
  connections.admit(socket, () => server.emit('connection', socket));
  const owedMs = (): number => {
    const [, another] = duplexPair() as unknown as [Socket, Socket];
    connections.admit(another, () => undefined);
    return connections.of(another)!.delay();
  };
  return { client, socket, owedMs, parsed: () => parsed, connection: () => connections.of(socket)! };
}

// The client's end takes no more than its high water mark until it is read, as a full buffer of the kernel does.
test('an answer that waited for the body too long, and is not read, is not written again when the body ends', async () => {
  const { client } = refusedClient('refused'.repeat(50_000));
  client.write(`POST / HTTP/1.1\r\nHost: edge\r\nContent-Length: 5000\r\n\r\n${'a'.repeat(1_000)}`);
  await setImmediate();
  await vi.advanceTimersByTimeAsync(1_000);
  client.write('a'.repeat(4_000));
  await setImmediate();
  const answers = (await client.setEncoding('utf8').toArray()).join('');
  expect(answers).toMatch(/^HTTP\/1.1 400 .*\r\nConnection: close\r\n.*\r\n(?:refused){50000}$/s);
  expect(answers.match(/HTTP\/1.1/g)).toHaveLength(1);
});

test.each([
  ['waits', 9, 9, false],
  ['ends its connection, of which nothing more is parsed, and costs its peer answers once', 2_000, 10, true],
])('what a stranger sends before its answers %s', async (_, requests, read, isEnded) => {
  const { client, socket, owedMs, parsed } = refusedClient('refused');
  client.write('GET / HTTP/1.1\r\nHost: edge\r\n\r\n'.repeat(requests));
  await setImmediate();
  expect([socket.destroyed, parsed()]).toEqual([isEnded, read]);
  // A hundred answers and a few are paid back at once; a hundred for each request would take longer than anything.
  expect(owedMs()).toBeLessThan(1_000);
});

/** A request that has begun, of which `serve` is called with the exchange, and its body that arrives byte by byte. */
async function begun(serve: (exchange: Exchange, connection: Connection) => void) {
  let exchange: Exchange | undefined;
  const { client, connection } = clientOf((it) => serve((exchange = it), connection()));
  client.write('POST / HTTP/1.1\r\nHost: edge\r\nContent-Length: 30\r\n\r\n');
  for (const byte of 'a'.repeat(30)) {
    client.write(byte);
    await setImmediate();
  }
  return { request: exchange!.request, peer: connection().peer };
}

test('nothing is read of a body that waits for room, and all of it afterwards', async () => {
  let body: Promise<Buffer[]> | undefined;
  const { request, peer } = await begun((exchange, connection) => {
    const { strangerUploads } = connection.peer;
    for (let i = 0; i < httpLimits.strangerUploads; i++) strangerUploads.enter(() => undefined);
    exchange.beginBody(() => void (body = exchange.request.toArray()));
  });
  expect([body, request.readableLength]).toEqual([undefined, 0]);
  peer.strangerUploads.leave();
  expect(Buffer.concat(await body!).toString()).toBe('a'.repeat(30));
});

test('nothing is kept of the small body of a request whose answer has to wait', async () => {
  const { request } = await begun((exchange, connection) => {
    connection.delay(1_000);
    exchange.send({ ...answer, status: 404 });
  });
  expect([request.complete, request.readableLength]).toEqual([true, 0]);
});

test('an answer whose client is gone is overwritten', async () => {
  const body = Buffer.from('secret');
  const answered = Promise.withResolvers<void>();
  const { client, socket } = clientOf((exchange) => {
    exchange.response.once('close', () => {
      exchange.send({ status: 200, contentType: 'text/plain', body });
      answered.resolve();
    });
    socket.destroy();
  });
  client.write('GET / HTTP/1.1\r\nHost: edge\r\n\r\n');
  await answered.promise;
  expect(body).toEqual(Buffer.alloc(6));
});

const answer = { contentType: 'text/plain', body: 'answer' };

test.each([
  ['a probe', (exchange: Exchange) => exchange.tell(() => exchange.write({ ...answer, status: 200 }))],
  ['a refusal', (exchange: Exchange) => exchange.send({ ...answer, status: 404 })],
  ['any other', (exchange: Exchange) => exchange.send({ ...answer, status: 200 })],
])('with an answer to %s, the client of an old connection is asked to connect anew', async (_, serve) => {
  const answered = async (maxConnectionAgeMs: number) => {
    const { client } = clientOf(serve, maxConnectionAgeMs);
    client.write('GET / HTTP/1.1\r\nHost: edge\r\n\r\n');
    await setImmediate();
    return String(client.read());
  };
  expect(await answered(0)).toContain('Connection: close');
  expect(await answered(300_000)).not.toContain('Connection: close');
});

test.each([
  ['a genuine request that is refused', true, 400, false],
  ['one that fails for a reason of ours', false, 500, false],
  ['one without a genuine signature', false, 400, true],
])('an answer to %s says whether a known connection is a stranger again', async (_, isGenuine, status, isStrange) => {
  const requests = [
    (exchange: Exchange) => {
      exchange.prove();
      exchange.send({ ...answer, status: 200 });
    },
    (exchange: Exchange) => {
      if (isGenuine) exchange.prove();
      exchange.send({ ...answer, status });
    },
  ];
  const { client, connection } = clientOf((exchange) => requests.shift()!(exchange));
  client.write('GET / HTTP/1.1\r\nHost: edge\r\n\r\n'.repeat(2));
  await setImmediate();
  expect(requests).toEqual([]);
  expect(connection().isStrange).toBe(isStrange);
});
