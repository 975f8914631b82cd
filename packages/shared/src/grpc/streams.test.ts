import { Server, ServerCredentials } from '@grpc/grpc-js';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { inject } from './streams.ts';

const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');
const SETTINGS = Buffer.from('000000040000000000', 'hex');
/** Of the connection itself, which is an error (RFC 9113, section 6.2). */
const HEADERS = Buffer.from('000000010400000000', 'hex');

/** What `socket` reads of these pieces before anybody serves it. */
async function waiting(pieces: readonly Buffer[]) {
  const accepted = Promise.withResolvers<Socket>();
  const listener = createServer({ noDelay: true }, accepted.resolve).listen(0, '127.0.0.1');
  await once(listener, 'listening');
  const client = connect((listener.address() as AddressInfo).port, '127.0.0.1').setNoDelay(true);
  client.on('error', () => {});
  const socket = await accepted.promise;
  socket.on('error', () => socket.destroy());
  let sent = 0;
  for (const piece of pieces) {
    client.write(piece);
    sent += piece.length;
    while (socket.readableLength < sent) await delay(1);
  }
  return { client, socket, [Symbol.dispose]: () => (client.destroy(), void listener.close()) };
}

test('a connection that ended its session before it was served ends no process', async () => {
  const server = new Server();
  const injector = server.createConnectionInjector(ServerCredentials.createInsecure());
  using one = await waiting([Buffer.concat([PREFACE, SETTINGS, HEADERS]), Buffer.alloc(50), Buffer.alloc(50)]);
  const closed = new Promise((close) => one.socket.once('close', close));
  inject(injector, one.socket);
  await closed;
  server.forceShutdown();
});

test('a connection that waited is served as one that did not, in whatever pieces it came', async () => {
  const server = new Server();
  const injector = server.createConnectionInjector(ServerCredentials.createInsecure());
  const bytes = Buffer.concat([PREFACE, SETTINGS]);
  using one = await waiting([bytes.subarray(0, 10), bytes.subarray(10, 30), bytes.subarray(30)]);
  inject(injector, one.socket);
  const [answer] = (await once(one.client, 'data')) as [Buffer];
  // It has settings of its own.
  expect(answer[3]).toBe(4);
  server.forceShutdown();
});

test('who has gone by then is not served', async () => {
  using one = await waiting([PREFACE]);
  one.socket.destroy();
  inject({ injectConnection: () => expect.unreachable() }, one.socket);
});
