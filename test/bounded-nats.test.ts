import { NatsConfig, startNotices } from '@keyfleet/shared/notices';
import { connect, type NatsConnection } from 'nats';
import { NodeTransport } from 'nats/lib/src/node_transport.js';
import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';

const INTRODUCTION =
  'INFO {"server_id":"x","version":"2.10.0","proto":1,"host":"x","port":1,"max_payload":1048576,"headers":true}\r\n';
/** Bytes of a message. */
const MOST = 8 * 1024 * 1024;
/** Memory of the kernel and of both ends, beside what a client may keep. */
const IN_TRANSIT = 2 * MOST;

/** A server that speaks to its client like this. */
async function serverThat(speak: (socket: Socket) => void): Promise<{ port: number; closed: Promise<unknown> }> {
  const closed = Promise.withResolvers<unknown>();
  const server = createServer((socket) => {
    socket.on('error', () => {}).on('close', closed.resolve);
    onTestFinished(() => void socket.destroy());
    speak(socket);
  });
  onTestFinished(() => void server.close());
  await once(server.listen(0, '127.0.0.1'), 'listening');
  return { port: (server.address() as AddressInfo).port, closed: closed.promise };
}

async function clientOf(
  speak: (socket: Socket) => void,
): Promise<{ connection: Promise<NatsConnection>; closed: Promise<unknown> }> {
  const { port, closed } = await serverThat(speak);
  const connection = connect({ servers: `127.0.0.1:${port}`, reconnect: false, timeout: 1_000 });
  connection.catch(() => {});
  onTestFinished(() => connection.then((open) => open.close()).catch(() => {}));
  return { connection, closed };
}

/** Takes a client as NATS does, and then says this. */
function welcome(then: (socket: Socket) => unknown): (socket: Socket) => void {
  return (socket) => {
    socket.write(INTRODUCTION);
    let isWelcome = false;
    socket.on('data', (data: Buffer) => {
      if (isWelcome || !data.includes('PING\r\n')) return;
      isWelcome = true;
      socket.write('PONG\r\n');
      then(socket);
    });
  };
}

/** Sends more of it, as long as anybody reads. Throws for what nobody can be reading any more. */
function goOn(socket: Socket, bytes: Buffer | string): void {
  let sent = 0;
  const more = (): void => {
    while (!socket.destroyed) {
      expect((sent += bytes.length), 'still read').toBeLessThan(IN_TRANSIT);
      if (!socket.write(bytes)) return;
    }
  };
  socket.on('drain', more);
  more();
}

const LETTERS = 'a'.repeat(65_536);

test.each([
  ['a message of four gigabytes', 'MSG a 1 4000000000\r\n'],
  ['a message with headers that is larger than one is', `HMSG a 1 12 ${MOST + 1}\r\n`],
  ['the name of a message that does not end', 'MSG '],
  ['an error that does not end', '-ERR '],
  ['a new introduction that does not end', 'INFO '],
  ['what is no message', 'x\r\n'],
])('%s ends the connection, before it is there', async (_, begin) => {
  const { closed } = await clientOf(
    welcome((socket) => {
      socket.write(begin);
      goOn(socket, LETTERS);
    }),
  );
  await closed;
});

test('an introduction that does not end ends the connection', async () => {
  const { connection, closed } = await clientOf((socket) => {
    socket.write('INFO {"');
    goOn(socket, LETTERS);
  });
  await expect(connection).rejects.toThrow('NATS sent more than an introduction has');
  await closed;
});

test('a server that does not introduce itself is left when the time is over', async () => {
  const { connection, closed } = await clientOf(() => {});
  await expect(connection).rejects.toThrow('TIMEOUT');
  await closed;
});

test('nothing that a server writes is printed', async () => {
  const printed: unknown[] = [];
  const { log } = console;
  console.log = (...words) => void printed.push(words);
  onTestFinished(() => void (console.log = log));
  const { connection, closed } = await clientOf((socket) => void socket.resume().write(`${INTRODUCTION}forged\r\n`));
  await expect(connection).rejects.toThrow('NATS sent what a client does not know');
  await closed;
  expect(printed).toEqual([]);
});

test('a server that reads nothing is left, and not answered without an end', async () => {
  const { port } = await serverThat((socket) => void socket.pause().write(INTRODUCTION));
  const transport = new NodeTransport();
  await transport.connect({ hostname: '127.0.0.1', port, tlsName: '' }, {});
  transport.send(Buffer.alloc(2 * IN_TRANSIT));
  expect(transport.isClosed).toBe(false);
  transport.send(Buffer.from('PONG\r\n'));
  expect(transport.isClosed).toBe(true);
});

test('a message may have as much as NATS lets it have, however it is cut', async () => {
  const message = Buffer.concat([Buffer.from(`MSG a 1 ${MOST}\r\n`), Buffer.alloc(MOST, 'a'), Buffer.from('\r\n')]);
  const { connection } = await clientOf(
    welcome(async (socket) => {
      await once(socket, 'data');
      for (let at = 0; at < message.length; at += 500_001) {
        await new Promise((sent) => socket.write(message.subarray(at, at + 500_001), sent));
      }
      socket.write('MSG a 1 3\r\nend\r\n');
    }),
  );
  const lengths: number[] = [];
  const ended = Promise.withResolvers<void>();
  (await connection).subscribe('a', {
    callback(_, { data }) {
      lengths.push(data.length);
      if (data.length === 3) ended.resolve();
    },
  });
  await ended.promise;
  expect(lengths).toEqual([MOST, 3]);
});

test('a server that goes is noticed, though it owes an answer', async () => {
  const { port } = await serverThat(welcome((socket) => void setTimeout(() => socket.destroy(), 300)));
  const problems: string[] = [];
  await using notices = startNotices({
    nats: NatsConfig.parse({ servers: [`127.0.0.1:${port}`] }),
    name: 'test',
    onProblem: (problem) => problems.push(String(problem)),
  });
  notices.subscribe('proposal', () => {});
  const gone = () => problems.filter((problem) => problem === 'Error: NATS disconnected').length;
  await expect.poll(gone, { timeout: 4_000 }).toBeGreaterThan(1);
});
