import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import type { IncomingHttpHeaders, ServerHttp2Stream } from 'node:http2';
import type { Socket } from 'node:net';
import type { ServerInterceptingCallInterface } from '@grpc/grpc-js';

/** Node announces every new HTTP/2 stream in this process here, before the stream's listeners see it. */
const STREAM_STARTS = 'http2.server.stream.start';

/** Calls `note` for each new stream of this process, before anything that was sent on it is kept. */
export function watchStreams(note: (stream: ServerHttp2Stream, headers: IncomingHttpHeaders) => void): Disposable {
  const look = (message: unknown): void => {
    const { stream, headers } = message as { stream: ServerHttp2Stream; headers: IncomingHttpHeaders };
    note(stream, headers);
  };
  subscribe(STREAM_STARTS, look);
  return { [Symbol.dispose]: () => unsubscribe(STREAM_STARTS, look) };
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

/** grpc-js offers no way to get at it: test/integration/service-port.test.ts fails if it moves. */
export function streamOf(call: ServerInterceptingCallInterface): ServerHttp2Stream {
  const { stream } = call as ServerInterceptingCallInterface & { readonly stream?: ServerHttp2Stream };
  if (stream === undefined) throw new Error('grpc-js has no stream where it used to be');
  return stream;
}
