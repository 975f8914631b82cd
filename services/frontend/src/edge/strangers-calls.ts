import type { IncomingHttpHeaders, OutgoingHttpHeaders, ServerHttp2Stream } from 'node:http2';
import { FairRoom } from '@keyfleet/shared/grpc/fair-room';
import { ownOf, PIECE_BYTES, watchStreams } from '@keyfleet/shared/grpc/streams';
import type { Connections } from './connections.ts';
import type { Connection } from './sender.ts';

/**
 * Memory of strangers' calls. Beyond that a connection of the peer with the most is cut. An honest client's calls
 * have 1 to 5 KB of headers and some hundred bytes of message, and no longer count once one of them was answered: fifty
 * clients of one address may begin with 64 calls at once, and nobody is charged for it.
 */
const ROOM = { perPeer: 117_440_512, inAll: 201_326_592 };
/** Memory of a call that says nothing: an HTTP/2 stream, and what grpc-js makes of it. */
const CALL_BYTES = 12_288;
/** Memory for a byte of headers. */
const HEADER_FACTOR = 4;

interface StrangersCall {
  readonly connection: Connection;
  readonly stream: Stream;
}

type Stream = Pick<ServerHttp2Stream, 'once' | 'push'>;

/**
 * The calls of a port's strangers, each from its headers until it brings a genuine signature or is over. HTTP/2 takes
 * 64 KiB of each call's message off the socket, whether or not anybody reads it. Neither Node nor grpc-js has a limit
 * for that: Node widens a connection's window at once, and the first window of a call binds only a client that wants to
 * be bound.
 */
export class StrangersCalls implements Disposable {
  readonly #room = new FairRoom<StrangersCall>(ROOM, ({ connection, stream }) => {
    this.#calls.delete(stream);
    if (connection.isStrange) connection.cut();
  });
  readonly #calls = new WeakMap<Stream, StrangersCall>();
  readonly #streams: Disposable;

  constructor(connections: Pick<Connections, 'of'>) {
    this.#streams = watchStreams((stream, headers) => {
      const connection = connections.of(stream.session?.socket ?? {});
      if (connection?.isStrange) this.add(stream, headers, connection);
    });
  }

  [Symbol.dispose](): void {
    this.#streams[Symbol.dispose]();
  }

  /** Call it before anything else hears of the stream. A trusted proxy is no stranger. */
  add(stream: Stream, headers: IncomingHttpHeaders, connection: Connection): void {
    const call = { connection, stream };
    const { network } = connection.peer;
    this.#calls.set(stream, call);
    this.#room.add(network, call, CALL_BYTES + bytesOf(headers) * HEADER_FACTOR);
    stream.once('close', () => this.remove(stream));
    const push = stream.push.bind(stream);
    stream.push = (piece: Buffer | null) => {
      if (piece === null || !this.#calls.has(stream)) return push(piece);
      const own = ownOf(piece);
      this.#room.add(network, call, own.buffer.byteLength + PIECE_BYTES);
      return push(own);
    };
  }

  remove(stream: Stream): void {
    const call = this.#calls.get(stream);
    if (call === undefined) return;
    this.#calls.delete(stream);
    this.#room.remove(call.connection.peer.network, call);
  }
}

/** Node takes 64 KiB of headers for each call, and has no setting for less that grpc-js passes on. */
export function bytesOf(headers: OutgoingHttpHeaders): number {
  let bytes = 0;
  for (const [name, values] of Object.entries(headers)) {
    for (const value of [values].flat()) bytes += name.length + String(value).length;
  }
  return bytes;
}
