import { type Metadata, type ServerInterceptor, ServerInterceptingCall } from '@grpc/grpc-js';
import { constants, type ServerHttp2Stream } from 'node:http2';
import { monotonicClock } from '../clock.ts';
import { PeerLimit, type Rate } from '../request-limit.ts';
import type { Connection, Connections } from './connections.ts';
import { FairRoom, type Room } from './fair-room.ts';
import { ownOf, PIECE_BYTES, streamOf, watchOtherStreams } from './streams.ts';

/** What a stranger may send to one method. */
export interface MethodLimit {
  /** For a request, its size; for a stream, everything until the sender is proven. */
  readonly maxBytes: number;
  /** What its answer is taken to hold from the start on, if that is more than a call costs by itself. */
  readonly answerBytes?: number;
  /** Calls per peer. Methods may share a limit. */
  readonly rate: PeerLimit;
}

/** Bytes of strangers' unfinished calls. */
const CALLS: Room = { perPeer: 5 * 1024 * 1024, inAll: 10 * 1024 * 1024 };
/** The cost of a call besides its bytes: an HTTP/2 stream and what grpc-js allocates for it. */
const CALL_BYTES = 64 * 1024;
/**
 * Bytes from one peer's strangers. What is dropped stays garbage for a while, so limiting what is held is not enough.
 */
const BYTE_RATE: Rate = { perSecond: 1024 * 1024, burst: 5 * 1024 * 1024 };
/** How long a request may take to arrive, and a stream to prove its sender. Milliseconds. */
const ARRIVAL_MS = 5_000;
/** Precedes each message. Its first byte says whether the message is compressed, which none of our services does. */
const FRAME_BYTES = 5;

/** A stranger's call. */
interface Call {
  readonly connection: Connection;
  readonly stream: ServerHttp2Stream;
  readonly limit: MethodLimit;
}

interface Arrival {
  readonly call: Call;
  /** The request has arrived completely: nothing more to wait for, but it still counts. */
  readonly arrived: () => void;
  /** Something was answered: what the caller has not read of it counts. */
  readonly answered: () => void;
  /** It no longer counts. */
  readonly over: () => void;
}

/**
 * Decides from a call's headers whether to read it at all, and counts its cost. By itself grpc-js limits only the size
 * of a message, and looks at nothing until a message is complete.
 */
export class Admission implements Disposable {
  readonly #connections: Connections;
  readonly #limits: ReadonlyMap<string, MethodLimit>;
  readonly #room = new FairRoom<Call>(CALLS, refuse);
  readonly #bytes = new PeerLimit(monotonicClock, BYTE_RATE);
  readonly #arrivals = new WeakMap<Metadata, Arrival>();
  readonly #others: Disposable;

  /** `limits`: by method path. A call to any other path is refused. */
  constructor(connections: Connections, limits: ReadonlyMap<string, MethodLimit>) {
    this.#connections = connections;
    this.#limits = limits;
    // They count as refused, which has a rate limit.
    this.#others = watchOtherStreams(
      (path) => limits.has(path),
      (socket) => {
        const connection = connections.of(socket);
        if (connection !== undefined) connections.noteRefused(connection);
      },
    );
  }

  [Symbol.dispose](): void {
    this.#others[Symbol.dispose]();
  }

  /**
   * The sender of the call with this metadata is proven: the call no longer counts, and while it runs neither does its
   * connection.
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
            // The connection is gone.
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
        // Writes immediately.
        send(message);
        arrival?.answered();
      },
    });
  };

  #await(call: Call): Arrival {
    const { connection, stream, limit } = call;
    const expected = limit.answerBytes ?? 0;
    this.#room.add(connection.peer, call, CALL_BYTES + expected);
    let received = 0;
    const count = (chunk: Buffer): void => {
      if (stream.closed) return;
      const isCompressed = received === 0 && chunk[0] !== 0;
      received += chunk.length;
      const isTooMuch = received > limit.maxBytes + FRAME_BYTES || this.#bytes.owe(connection.peer, chunk.length) > 0;
      if (isCompressed || isTooMuch) return refuse(call);
      this.#room.add(connection.peer, call, chunk.length + PIECE_BYTES);
    };
    const push = stream.push.bind(stream);
    stream.push = (piece: Buffer | null) => push(piece && ownOf(piece));
    // Applies to answered calls too: grpc-js keeps what the caller still sends until the caller ends the call.
    const late = setTimeout(() => refuse(call), ARRIVAL_MS);
    let isOver = false;
    const answered = (): void => {
      const more = Math.max(0, stream.writableLength - expected);
      if (!isOver && !stream.closed) this.#room.add(connection.peer, call, more);
    };
    const over = (): void => {
      isOver = true;
      clearTimeout(late);
      stream.removeListener('data', count);
      stream.push = push;
      this.#room.remove(connection.peer, call);
    };
    // Runs before grpc-js, which keeps what it receives.
    stream.prependListener('data', count);
    stream.once('close', over);
    return { call, arrived: () => clearTimeout(late), answered, over };
  }
}

/**
 * The caller sees RESOURCE_EXHAUSTED (gRPC over HTTP2, "Errors"). Whatever it does, everything received for its call is
 * freed at once.
 */
function refuse({ stream }: Pick<Call, 'stream'>): void {
  stream.close(constants.NGHTTP2_ENHANCE_YOUR_CALM);
}
