import type { Socket } from 'node:net';
import { monotonicClock } from '../clock.ts';
import { networkOf, PeerLimit, type Rate } from '../request-limit.ts';
import { FairRoom, type Room } from './fair-room.ts';

/** Connections of strangers, each of which costs about 60 KB. */
const STRANGERS: Room = { perPeer: 128, inAll: 256 };
/** New connections of one peer; more wait to be read. A fleet that starts anew may stand behind one address. */
const CONNECT_RATE: Rate = { perSecond: 10, burst: 32 };
/**
 * Refusals of one peer, each of which costs a tenth of a millisecond: after more, the connection that asks for them is
 * ended.
 */
const REFUSAL_RATE: Rate = { perSecond: 50, burst: 500 };

/** A socket has it, and so has what grpc-js tells of a call. */
interface RemoteEnd {
  readonly remoteAddress?: string | undefined;
  readonly remotePort?: number | undefined;
}

/** A connection is a stranger's unless a call on it has proven who is at its other end, and goes on. */
export class Connection {
  /** All connections from one IPv4 address, or one IPv6 network of 64 bits. */
  readonly peer: string;
  readonly socket: Socket;
  /** How many calls. */
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

  /** Takes a new connection in. `read` is called once it may be. */
  add(socket: Socket, read: () => void): void {
    const { remoteAddress = '', remotePort } = socket;
    const peer = networkOf(remoteAddress);
    const name = nameOf({ remoteAddress, remotePort });
    const connection = new Connection(peer, socket);
    this.#connections.set(name, connection);
    socket.once('close', () => {
      this.#connections.delete(name);
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

  /** It is no stranger's until the proof is over, as the function says that is returned, and every other. */
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
