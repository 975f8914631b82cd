import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import type { ClientHttp2Stream, IncomingHttpHeaders, OutgoingHttpHeaders, ServerHttp2Stream } from 'node:http2';
import type { Socket } from 'node:net';
import type { ConnectionInjector, ServerInterceptingCallInterface } from '@grpc/grpc-js';

/** Node announces every new HTTP/2 stream in this process here, before the stream's listeners see it. */
const STREAM_STARTS = 'http2.server.stream.start';
/** Likewise, of clients. */
const CLIENT_STREAM_CREATED = 'http2.client.stream.created';

/** Memory for a piece of a message, besides its bytes. */
export const PIECE_BYTES = 512;

/** A piece is part of what was read from the socket at once, up to 64 KiB, and would keep all of it. */
export function ownOf(piece: Buffer): Buffer {
  if (piece.length * 2 > piece.buffer.byteLength) return piece;
  const own = Buffer.allocUnsafeSlow(piece.length);
  piece.copy(own);
  piece.fill(0);
  return own;
}

/** Calls `note` for each new stream of this process, before anything that was sent on it is kept. */
export function watchStreams(note: (stream: ServerHttp2Stream, headers: IncomingHttpHeaders) => void): Disposable {
  return watch(STREAM_STARTS, note);
}

/** Likewise for each stream of this process as a client: one of its own, or one that a server pushes. */
export function watchClientStreams(
  note: (stream: ClientHttp2Stream, headers: OutgoingHttpHeaders) => void,
): Disposable {
  return watch(CLIENT_STREAM_CREATED, note);
}

function watch<Stream, Headers>(channel: string, note: (stream: Stream, headers: Headers) => void): Disposable {
  const look = (message: unknown): void => {
    const { stream, headers } = message as { stream: Stream; headers: Headers };
    note(stream, headers);
  };
  subscribe(channel, look);
  return { [Symbol.dispose]: () => unsubscribe(channel, look) };
}

/**
 * Calls `note` for each stream of this process that is not a call of a method that `isMethod` knows: grpc-js answers
 * those without the interceptor.
 */
export function watchOtherStreams(
  isMethod: (path: string) => boolean,
  note: (socket: Partial<Pick<Socket, 'remoteAddress' | 'remotePort'>>) => void,
): Disposable {
  return watchStreams((stream, headers) => {
    const isCall = isMethod(headers[':path'] ?? '') && headers['content-type']?.startsWith('application/grpc') === true;
    if (isCall) return;
    answersIfOpen(stream);
    note(stream.session?.socket ?? {});
  });
}

/**
 * grpc-js answers such a stream as soon as it hears of it. Its client may be gone by then, if the connection had to
 * wait before it was read: the answer would be an exception that nobody catches, and ends the process.
 */
function answersIfOpen(stream: ServerHttp2Stream): void {
  const respond = stream.respond.bind(stream);
  stream.respond = (...answer) => {
    if (!stream.destroyed && !stream.closed) respond(...answer);
  };
}

/**
 * Has grpc-js serve a connection that may have waited. What its socket has read meanwhile, Node hands to the session
 * piece by piece; if one of them ends the session, the next is an exception that nobody catches, and ends the process.
 */
export function inject({ injectConnection }: Pick<ConnectionInjector, 'injectConnection'>, socket: Socket): void {
  if (socket.destroyed) return;
  const pieces: Buffer[] = [];
  for (let piece: Buffer | null; (piece = socket.read() as Buffer | null) !== null;) pieces.push(piece);
  if (pieces.length > 0) socket.unshift(Buffer.concat(pieces));
  injectConnection(socket);
}

/** grpc-js offers no way to get at it: test/integration/service-port.test.ts fails if it moves. */
export function streamOf(call: ServerInterceptingCallInterface): ServerHttp2Stream {
  const { stream } = call as ServerInterceptingCallInterface & { readonly stream?: ServerHttp2Stream };
  if (stream === undefined) throw new Error('grpc-js has no stream where it used to be');
  return stream;
}
