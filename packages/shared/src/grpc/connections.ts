import type { Socket } from 'node:net';
import { monotonicClock } from '../clock.ts';
import { networkOf, PeerLimit, type Rate } from '../request-limit.ts';
import { FairRoom, type Room } from './fair-room.ts';

/** Connections of strangers, each of which costs about 60 KB. */
const STRANGERS: Room = { perPeer: 128, inAll: 256 };
/** New connections per peer; more wait before they are read. A restarting fleet may be behind one address. */
const CONNECT_RATE: Rate = { perSecond: 10, burst: 32 };
/**
 * Refusals per peer, each of which costs a tenth of a millisecond. Beyond that, the connection that causes them is
 * closed.
 */
const REFUSAL_RATE: Rate = { perSecond: 50, burst: 500 };

/** Sockets have this, and so does grpc-js's information about a call. */
interface RemoteEnd {
  readonly remoteAddress?: string | undefined;
  readonly remotePort?: number | undefined;
}

/** A connection is a stranger's unless a call in progress on it has proven who is at its other end. */
export class Connection {
  /** All connections from one IPv4 address, or one IPv6 network of 64 bits. */
  readonly peer: string;
  readonly socket: Socket;
  /** The number of calls in progress that have proven who is at the other end. */
  proofs = 0;

  constructor(peer: string, socket: Socket) {
    this.peer = peer;
    this.socket = socket;
  }
}

/** The connections of one port. */
export class Connections {
  readonly #connections = new Map<string, Connection>();
  readonly #strangers = new FairRoom<Connection>(STRANGERS, ({ socket }) => socket.destroy());
  readonly #connects = new PeerLimit(monotonicClock, CONNECT_RATE);
  readonly #refusals = new PeerLimit(monotonicClock, REFUSAL_RATE);

  /** Accepts a new connection. Calls `read` once it may be read. */
  add(socket: Socket, read: () => void): void {
    const { remoteAddress = '', remotePort } = socket;
    const peer = networkOf(remoteAddress);
    const name = nameOf({ remoteAddress, remotePort });
    const connection = new Connection(peer, socket);
    this.#connections.set(name, connection);
    socket.once('close', () => {
      // A client that resets a connection may have its successor accepted from the same port before this is heard.
      if (this.#connections.get(name) === connection) this.#connections.delete(name);
      this.#strangers.remove(peer, connection);
    });
    this.#strangers.add(peer, connection, 1);
    const wait = this.#connects.owe(peer);
    if (wait === 0) return read();
    const due = setTimeout(read, wait);
    socket.once('close', () => clearTimeout(due));
  }

  of(end: RemoteEnd): Connection | undefined {
    return this.#connections.get(nameOf(end));
  }

  /**
   * The connection is not a stranger's until this proof and every other one is over. The returned function ends this
   * proof.
   */
  prove(connection: Connection): () => void {
    const { peer, socket } = connection;
    connection.proofs++;
    this.#strangers.remove(peer, connection);
    let isOver = false;
    return () => {
      if (isOver) return;
      isOver = true;
      if (--connection.proofs === 0 && !socket.destroyed) this.#strangers.add(peer, connection, 1);
    };
  }

  /** A call was refused unread. */
  noteRefused({ peer, proofs, socket }: Connection): void {
    if (!this.#refusals.take(peer) && proofs === 0) socket.destroy();
  }
}

function nameOf({ remoteAddress, remotePort }: RemoteEnd): string {
  return `${remoteAddress} ${remotePort}`;
}
