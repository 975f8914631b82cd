import {
  type Metadata,
  type ServerInterceptor,
  ServerInterceptingCall,
  type ServerInterceptingCallInterface,
} from '@grpc/grpc-js';
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { constants, type IncomingHttpHeaders, type ServerHttp2Stream } from 'node:http2';
import { monotonicClock } from '../clock.ts';
import { PeerLimit, type Rate } from '../request-limit.ts';
import type { Connection, Connections } from './connections.ts';
import { FairRoom, type Room } from './fair-room.ts';

/** What a stranger may send to one method. */
export interface MethodLimit {
  /** Of the request; of a stream, of all that comes before it has proven who sends it. */
  readonly maxBytes: number;
  /** Calls of one peer; methods may share one. */
  readonly rate: PeerLimit;
}

/** Bytes of strangers' calls that are not over. */
const CALLS: Room = { perPeer: 5 * 1024 * 1024, inAll: 10 * 1024 * 1024 };
/** What a call takes besides its bytes: a stream of HTTP/2 and what grpc-js makes of it. */
const CALL_BYTES = 64 * 1024;
/**
 * Bytes of one peer's strangers. What is let go is garbage for a while, so that a bound on what is held is not enough.
 */
const BYTE_RATE: Rate = { perSecond: 1024 * 1024, burst: 5 * 1024 * 1024 };
/** How long a request may take to come, and a stream to prove who sends it. Milliseconds. */
const ARRIVAL_MS = 5_000;
/** Before each message, and its first byte says whether the message is compressed: nobody of ours compresses. */
const FRAME_BYTES = 5;

/** Node says here of every stream of HTTP/2 in this process that it begins, and its listeners have not seen it yet. */
const STREAM_STARTS = 'http2.server.stream.start';

/** A stranger's call. */
interface Call {
  readonly connection: Connection;
  readonly stream: ServerHttp2Stream;
  readonly limit: MethodLimit;
}

interface Arrival {
  readonly call: Call;
  /** The request has come whole: there is nothing to wait for, but it still counts. */
  readonly arrived: () => void;
  /** Something was answered: what the caller has not read of it counts. */
  readonly answered: () => void;
  /** It counts no longer. */
  readonly over: () => void;
}

/**
 * Decides by its headers whether a call is read at all, and counts what comes of it: grpc-js itself has no bound but a
 * message's, and looks at nothing before a message is whole.
 */
export class Admission implements Disposable {
  readonly #connections: Connections;
  readonly #limits: ReadonlyMap<string, MethodLimit>;
  readonly #room = new FairRoom<Call>(CALLS, refuse);
  readonly #bytes = new PeerLimit(monotonicClock, BYTE_RATE);
  readonly #arrivals = new WeakMap<Metadata, Arrival>();

  /** `limits`: by the path of the method; a call of any other is refused. */
  constructor(connections: Connections, limits: ReadonlyMap<string, MethodLimit>) {
    this.#connections = connections;
    this.#limits = limits;
    subscribe(STREAM_STARTS, this.#noteStream);
  }

  [Symbol.dispose](): void {
    unsubscribe(STREAM_STARTS, this.#noteStream);
  }

  /**
   * What is a call of no method grpc-js answers itself, without the interceptor: it counts as refused, which has a
   * rate.
   */
  readonly #noteStream = (message: unknown): void => {
    const { stream, headers } = message as { stream: ServerHttp2Stream; headers: IncomingHttpHeaders };
    const connection = this.#connections.of(stream.session?.socket ?? {});
    const isCall =
      this.#limits.has(headers[':path'] ?? '') && headers['content-type']?.startsWith('application/grpc') === true;
    if (connection !== undefined && !isCall) this.#connections.noteRefused(connection);
  };

  /**
   * The call with this metadata has proven who sends it: it is not counted any more, and as long as it goes on its
   * connection is not either.
   */
  prove(metadata: Metadata): void {
    const arrival = this.#arrivals.get(metadata);
    if (arrival === undefined) return;
    const { connection, stream } = arrival.call;
    arrival.over();
    if (!stream.closed) stream.once('close', this.#connections.prove(connection));
  }

  readonly interceptor: ServerInterceptor = ({ path, requestStream }, call) => {
    const connection = this.#connections.of(call.getConnectionInfo());
    const limit = this.#limits.get(path);
    const stream = streamOf(call);
    let arrival: Arrival | undefined;
    return new ServerInterceptingCall(call, {
      start: (next) =>
        next({
          onReceiveMetadata: (metadata, read) => {
            // Its connection is gone.
            if (connection === undefined || limit === undefined) return stream.close();
            if (!limit.rate.take(connection.peer)) {
              this.#connections.noteRefused(connection);
              return refuse({ stream });
            }
            this.#arrivals.set(metadata, (arrival = this.#await({ connection, stream, limit })));
            read(metadata);
          },
          onReceiveHalfClose: (next) => {
            if (!requestStream) arrival?.arrived();
            next();
          },
        }),
      sendMessage: (message, send) => {
        // Writes it at once.
        send(message);
        arrival?.answered();
      },
    });
  };

  #await(call: Call): Arrival {
    const { connection, stream, limit } = call;
    this.#room.add(connection.peer, call, CALL_BYTES);
    let received = 0;
    const count = (chunk: Buffer): void => {
      if (stream.closed) return;
      const isCompressed = received === 0 && chunk[0] !== 0;
      received += chunk.length;
      const isTooMuch = received > limit.maxBytes + FRAME_BYTES || this.#bytes.owe(connection.peer, chunk.length) > 0;
      if (isCompressed || isTooMuch) return refuse(call);
      this.#room.add(connection.peer, call, chunk.length);
    };
    // Also when it was answered: what the caller still sends is kept by grpc-js until the caller ends the call.
    const late = setTimeout(() => refuse(call), ARRIVAL_MS);
    let isOver = false;
    const answered = (): void => {
      if (!isOver && !stream.closed) this.#room.add(connection.peer, call, stream.writableLength);
    };
    const over = (): void => {
      isOver = true;
      clearTimeout(late);
      stream.removeListener('data', count);
      this.#room.remove(connection.peer, call);
    };
    // Before grpc-js, which keeps what it gets.
    stream.prependListener('data', count);
    stream.once('close', over);
    return { call, arrived: () => clearTimeout(late), answered, over };
  }
}

/**
 * The caller sees RESOURCE_EXHAUSTED (gRPC over HTTP2, "Errors"), and whatever it does, what has come of its call is
 * free at once.
 */
function refuse({ stream }: Pick<Call, 'stream'>): void {
  stream.close(constants.NGHTTP2_ENHANCE_YOUR_CALM);
}

/**
 * grpc-js gives an interceptor no public way to the stream; test/integration/service-port.test.ts says when it is
 * elsewhere.
 */
function streamOf(call: ServerInterceptingCallInterface): ServerHttp2Stream {
  return (call as unknown as { readonly stream: ServerHttp2Stream }).stream;
}
