import { constants, type ServerHttp2Stream } from 'node:http2';
import { ServerInterceptingCall } from '@grpc/grpc-js';
import { streamOf, watchOtherStreams } from '@keyfleet/shared/grpc/streams';
import type { Connections } from './connections.ts';
import type { Connection, Sender } from './sender.ts';
import type { ConnectedCall } from './grpc-call.ts';
import { dropUnread } from './grpc-stream.ts';
import { bytesOf } from './strangers-calls.ts';

/**
 * What one call may send, and as much of headers: a probe names a service, and a client that reflects asks a few short
 * questions.
 */
const MAX_BYTES = 4_096;
/** How long the first bytes may take, and a stranger's call as a whole: it may watch. Milliseconds. */
const ARRIVAL_MS = 5_000;
const STRANGERS_MS = 60_000;
const WATCH = '/grpc.health.v1.Health/Watch';
/** Of one stranger's connection. */
const MAX_WATCHES = 4;

/**
 * A call that needs no signature: of grpc.health.v1, or of reflection. If its peer asks without end, each of its
 * connections gets one after the other, each a little later, and nothing is read meanwhile.
 */
export function servePublic(
  path: string,
  { call, connection }: Pick<ConnectedCall, 'call' | 'connection'>,
): ServerInterceptingCall {
  const stream = streamOf(call);
  const refuse = (): void => stream.close(constants.NGHTTP2_ENHANCE_YOUR_CALM);
  let received = 0;
  let sender: Sender = connection;
  let read = (): void => {};
  stream.once('close', () => read());
  // Runs before grpc-js, which keeps what it receives.
  stream.prependListener('data', (chunk: Buffer) => {
    // Its first byte says whether a message is compressed, which no probe is.
    const isCompressed = received === 0 && chunk[0] !== 0;
    received += chunk.length;
    if (isCompressed || received > MAX_BYTES) refuse();
  });
  return new ServerInterceptingCall(call, {
    start: (next) =>
      next({
        onReceiveMetadata: (metadata, receive) => {
          sender = connection.senderOf(metadata.get('x-forwarded-for').join(','));
          if (bytesOf(metadata.toHttp2Headers()) > MAX_BYTES) {
            if (connection.isStrange) connection.cut();
            sender.leave();
            return refuse();
          }
          inTurn(connection, sender, (leave) => {
            const begin = (): void => {
              leave();
              sender.leave();
              if (stream.closed) return;
              if (path === WATCH && !mayWatch(connection, stream)) return refuse();
              const late = setTimeout(() => received === 0 && refuse(), ARRIVAL_MS);
              const over = setTimeout(() => connection.isStrange && refuse(), STRANGERS_MS);
              stream.once('close', () => [late, over].forEach(clearTimeout));
              receive(metadata);
            };
            const delay = stream.closed ? 0 : sender.probeDelay();
            if (delay === 0) begin();
            else setTimeout(begin, delay);
          });
        },
      }),
    sendMessage: (message, send) => {
      // Writes immediately. What is asked of reflection may be answered with a thousand times as much.
      send(message);
      read();
      if (!stream.writableNeedDrain) return;
      read = sender.holdAnswer(stream.writableLength, () => dropUnread(stream, sender));
      stream.once('drain', read);
    },
  });
}

const watches = new WeakMap<Connection, number>();

function mayWatch(connection: Connection, stream: ServerHttp2Stream): boolean {
  const open = watches.get(connection) ?? 0;
  if (connection.isStrange && open >= MAX_WATCHES) return false;
  watches.set(connection, open + 1);
  stream.once('close', () => watches.set(connection, watches.get(connection)! - 1));
  return true;
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

/** A stranger has a rate of answers; one that asks for more of what is no method is cut off. */
export function limitUnknownCalls(connections: Connections, isKnown: (path: string) => boolean): Disposable {
  return watchOtherStreams(isKnown, (socket) => {
    const connection = connections.of(socket);
    if (connection !== undefined && connection.delay() > 0) connection.socket.destroy();
  });
}
