import { socketFrom } from '@keyfleet/test-support/sockets';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { expect, test } from 'vitest';
import { Connections } from './connections.ts';

/** More than one peer's strangers may have. */
const TOO_MANY = 128;

async function startPort() {
  const connections = new Connections();
  const accepted: Socket[] = [];
  const clients: Socket[] = [];
  const listener = createServer((socket) => {
    accepted.push(socket);
    connections.add(
      socket.on('error', () => undefined),
      () => undefined,
    );
  });
  await once(listener.listen(0, '127.0.0.1'), 'listening');
  const { port } = listener.address() as AddressInfo;
  return {
    connections,
    /** Returns the server's end of the first one. */
    async open(count: number): Promise<Socket> {
      const before = accepted.length;
      for (let i = 0; i < count; i++) clients.push(connect(port, '127.0.0.1').on('error', () => undefined));
      await expect.poll(() => accepted.length).toBe(before + count);
      return accepted[before]!;
    },
    [Symbol.dispose]() {
      for (const client of clients) client.destroy();
      listener.close();
    },
  };
}

test('a connection on which somebody is proven stays, however many strangers come from its address', async () => {
  using port = await startPort();
  const { connections } = port;
  const socket = await port.open(1);
  connections.prove(connections.of(socket)!);
  await port.open(TOO_MANY);
  expect(socket.destroyed).toBe(false);
});

test('a connection is a stranger again when the last of its proofs has ended', async () => {
  using port = await startPort();
  const { connections } = port;
  const socket = await port.open(1);
  const connection = connections.of(socket)!;
  const [first, second] = [connections.prove(connection), connections.prove(connection)];
  first();
  first();
  await port.open(TOO_MANY);
  expect(socket.destroyed).toBe(false);
  second();
  await port.open(TOO_MANY);
  expect(socket.destroyed).toBe(true);
});

test('a connection from the port of one that was reset is still known when the other has closed', () => {
  const connections = new Connections();
  const [reset, next] = [socketFrom('192.0.2.1', 40_000), socketFrom('192.0.2.1', 40_000)];
  for (const socket of [reset, next]) connections.add(socket, () => undefined);
  reset.emit('close');
  expect(connections.of(next)?.socket).toBe(next);
  next.emit('close');
  expect(connections.of(next)).toBeUndefined();
});
