import { once } from 'node:events';
import { createServer, type ServerHttp2Session, type ServerHttp2Stream } from 'node:http2';
import type { AddressInfo } from 'node:net';
import { onTestFinished } from 'vitest';

// A server of gRPC calls that answers as no gRPC library does.

/** More than the pieces that a message may come in. */
export const MANY = 16_500;

/** The address of a server that answers each call like this. */
export async function answering(answer: (stream: ServerHttp2Stream) => Promise<void> | void): Promise<string> {
  const server = createServer();
  const sessions: ServerHttp2Session[] = [];
  server.on('session', (session) => sessions.push(session));
  server.on('stream', (stream: ServerHttp2Stream) => {
    stream.on('error', () => {});
    stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true });
    stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
    void answer(stream);
  });
  onTestFinished(() => {
    for (const session of sessions) session.destroy();
    server.close();
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  return `127.0.0.1:${(server.address() as AddressInfo).port}`;
}

/** Each in a frame of its own. */
export async function send(stream: ServerHttp2Stream, pieces: Iterable<Buffer>): Promise<void> {
  for (const piece of pieces) {
    if (stream.closed) return;
    await new Promise((sent) => stream.write(piece, sent));
  }
}

export function* bytesOf(message: Buffer): Generator<Buffer> {
  for (let at = 0; at < message.length; at++) yield message.subarray(at, at + 1);
}

export function framed(message: Buffer): Buffer {
  const prefix = Buffer.alloc(5);
  prefix.writeUInt32BE(message.length, 1);
  return Buffer.concat([prefix, message]);
}
