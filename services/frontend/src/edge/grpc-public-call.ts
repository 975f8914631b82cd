import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { constants, type IncomingHttpHeaders, type ServerHttp2Stream } from 'node:http2';
import { ServerInterceptingCall } from '@grpc/grpc-js';
import type { Connection, Connections, Sender } from './connections.ts';
import type { ConnectedCall } from './grpc-call.ts';
import { streamOf } from './grpc-stream.ts';

/** What one call may send: a probe names a service, and a client that reflects asks a few short questions. */
const MAX_BYTES = 4_096;
/** Node announces every new HTTP/2 stream in this process here, before the stream's listeners see it. */
const STREAM_STARTS = 'http2.server.stream.start';

/**
 * A call that needs no signature: of grpc.health.v1, or of reflection. If its peer asks without end, each of its
 * connections gets one after the other, each a little later, and nothing is read meanwhile.
 */
export function servePublic({ call, connection }: Omit<ConnectedCall, 'isTls'>): ServerInterceptingCall {
  const stream = streamOf(call);
  let received = 0;
  // Runs before grpc-js, which keeps what it receives.
  stream.prependListener('data', ({ length }: Buffer) => {
    received += length;
    if (received > MAX_BYTES) stream.close(constants.NGHTTP2_ENHANCE_YOUR_CALM);
  });
  return new ServerInterceptingCall(call, {
    start: (next) =>
      next({
        onReceiveMetadata: (metadata, read) => {
          const sender = connection.senderOf(metadata.get('x-forwarded-for').join(','));
          inTurn(connection, sender, (leave) => {
            const begin = (): void => {
              leave();
              sender.leave();
              if (!stream.closed) read(metadata);
            };
            const delay = stream.closed ? 0 : sender.probeDelay();
            if (delay === 0) begin();
            else setTimeout(begin, delay);
          });
        },
      }),
  });
}

/** As many as a client may have open. */
const MAX_WAITING = 64;

/** Whoever cancels calls that wait, and opens others, is cut off. The connection of a proxy carries others' calls. */
function inTurn(connection: Connection, sender: Sender, begin: (leave: () => void) => void): void {
  const { turns } = connection;
  if (sender.isProxied) begin(() => {});
  else if (turns.waiting >= MAX_WAITING) connection.cut();
  else turns.enter(() => begin(() => turns.leave()));
}

/**
 * grpc-js answers calls of unknown methods without the interceptor. A stranger has a rate of answers; one that asks for
 * more of these is cut off.
 */
export function limitUnknownCalls(connections: Connections, isKnown: (path: string) => boolean): Disposable {
  const note = (message: unknown): void => {
    const { stream, headers } = message as { stream: ServerHttp2Stream; headers: IncomingHttpHeaders };
    const connection = connections.of(stream.session?.socket ?? {});
    const isCall = isKnown(headers[':path'] ?? '') && headers['content-type']?.startsWith('application/grpc') === true;
    if (connection !== undefined && !isCall && connection.delay() > 0) connection.socket.destroy();
  };
  subscribe(STREAM_STARTS, note);
  return { [Symbol.dispose]: () => unsubscribe(STREAM_STARTS, note) };
}
