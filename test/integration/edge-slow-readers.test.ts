import { startEdge } from '@keyfleet/test-support/edge-fixture';
import { sign } from '@keyfleet/test-support/raw-http';
import { hash } from 'node:crypto';
import { once } from 'node:events';
import { type ClientHttp2Session, connect as connectHttp2 } from 'node:http2';
import { connect, type Socket } from 'node:net';
import { amzDateOf } from '@keyfleet/shared/sigv4';
import { expect, test } from 'vitest';

/** More than the buffers of both ends hold. */
const ANSWER = 24 * 1024 * 1024;

const startSending = (bytes: number, limits = {}) => {
  let answered = 0;
  const invoke = async () => {
    answered++;
    return { KeyId: 'k', PublicKey: Buffer.alloc(bytes) };
  };
  const edge = startEdge({ limits, invoke });
  return edge.then((started) => Object.assign(started, { answered: () => answered }));
};

test('over HTTP, answers that nobody reads are bounded: the one that waits longest ends its connection', async () => {
  await using edge = await startSending(ANSWER, { unread: { perPeer: 3 * ANSWER, inAll: 10 * ANSWER } });
  const ask = async (): Promise<Socket> => {
    const socket = connect(edge.port, '127.0.0.1').on('error', () => {});
    const amzDate = amzDateOf(Date.now());
    const headers = new Map([
      ['host', 'k'],
      ['x-amz-date', amzDate],
      ['x-amz-target', 'TrentService.GetPublicKey'],
      ['content-type', 'application/x-amz-json-1.1'],
      ['connection', 'close'],
    ]);
    const body = '{"KeyId":"k"}';
    const authorization = sign({ method: 'POST', path: '/', body, headers, amzDate });
    const lines = [...headers, ['authorization', authorization], ['content-length', String(body.length)]];
    const before = edge.answered();
    socket.write(`POST / HTTP/1.1\r\n${lines.map((line) => line.join(': ')).join('\r\n')}\r\n\r\n${body}`);
    await expect.poll(edge.answered).toBe(before + 1);
    return socket;
  };
  // In base64 each takes a third more than its bytes: two have room, three have not.
  const sockets = [await ask(), await ask(), await ask()];
  const received = await Promise.all(
    sockets.map(async (socket) => {
      let bytes = 0;
      socket.on('data', (chunk: Buffer) => (bytes += chunk.length));
      await once(socket, 'close');
      return bytes;
    }),
  );
  expect(received.map((bytes) => bytes > ANSWER)).toEqual([false, true, true]);
});

test('over gRPC, answers that nobody reads are bounded: the call that waits longest ends its connection', async () => {
  await using edge = await startSending(3 * 1024 * 1024);
  const sessions = [1, 2].map(() => {
    const settings = { initialWindowSize: 0 };
    return connectHttp2(`http://${edge.grpcAddress}`, { settings }).on('error', () => {});
  });
  const path = '/keyfleet.kms.v1.Kms/GetPublicKey';
  // KeyId: "k".
  const message = Buffer.from('0a016b', 'hex');
  const ask = async (session: ClientHttp2Session): Promise<void> => {
    const amzDate = amzDateOf(Date.now());
    const signed = new Map([
      ['host', edge.grpcAddress],
      ['x-amz-content-sha256', hash('sha256', message)],
      ['x-amz-date', amzDate],
    ]);
    const authorization = sign({ method: 'POST', path, body: message.toString('latin1'), headers: signed, amzDate });
    signed.delete('host');
    const headers = {
      ...Object.fromEntries(signed),
      authorization,
      'content-type': 'application/grpc',
      te: 'trailers',
    };
    const before = edge.answered();
    const stream = session.request({ ':method': 'POST', ':path': path, ...headers }).on('error', () => {});
    stream.end(Buffer.concat([Buffer.from([0, 0, 0, 0, message.length]), message]));
    await expect.poll(edge.answered).toBe(before + 1);
  };
  const ended = once(sessions[0]!, 'close');
  await ask(sessions[0]!);
  // With these a peer leaves more unread than it may.
  for (let i = 0; i < 5; i++) await ask(sessions[1]!);
  await ended;
  expect(sessions[1]!.closed).toBe(false);
  sessions[1]!.destroy();
});
