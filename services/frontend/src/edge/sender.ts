import type { Socket } from 'node:net';
import { Turns } from './turns.ts';

/** The answers that a stranger forfeits by sending more requests at once than may wait. */
const OVERFLOW_COST = 100;

/** What one peer may have at once. */
export interface PeerLimits {
  /** Requests in flight; further ones wait. Generous, because a peer may be a load balancer. */
  readonly inFlight: number;
  /** Larger bodies of its strangers; further ones wait unread. */
  readonly strangerUploads: number;
}

/** What a sender asks of its port's table. */
interface SenderTable {
  isProxy(address: string): boolean;
  senderBehind(connection: Connection, forwardedFor: string | undefined): Sender;
  welcome(connection: Connection): void;
  estrange(connection: Connection): void;
  delayOf(peer: Peer, cost: number): number;
  probeDelayOf(peer: Peer): number;
  holdAnswerOf(peer: Peer, bytes: number, drop: () => void): () => void;
  release(peer: Peer): void;
}

/** Everything from one IPv4 address, or from one IPv6 /64. */
export class Peer {
  readonly network: string;
  readonly strangers = new Set<Connection>();
  /** Those of them that are not read yet, the first to come first, and how to have them read. */
  readonly waiting = new Map<Connection, () => void>();
  readonly turns: Turns;
  readonly strangerUploads: Turns;
  /** Connections, and requests that arrived through a trusted proxy. */
  uses = 0;

  constructor(network: string, { inFlight, strangerUploads }: PeerLimits) {
    this.network = network;
    this.turns = new Turns(inFlight);
    this.strangerUploads = new Turns(strangerUploads);
  }
}

/** The sender of a request: the connected peer, or the one that a trusted proxy names. */
export interface Sender {
  readonly address: string;
  readonly peer: Peer;
  readonly isStrange: boolean;
  /** It arrived through a trusted proxy, whose headers about it are believed. */
  readonly isProxied: boolean;
  /** Called for each genuine signature. */
  prove(): void;
  /** Called for each answer to a request that brought none, except to a probe. */
  doubt(): void;
  /**
   * Call before answering a request without a genuine signature. Returns the milliseconds that the answer must wait, if
   * it is a stranger's.
   */
  delay(cost?: number): number;
  /**
   * The same for a probe, which waits a quarter of a second at most: a load balancer's probe must not fail because of
   * others.
   */
  probeDelay(): number;
  /**
   * Counts a larger answer until the function that is returned is called. `drop` ends it if its peer, or all together,
   * leave too much unread.
   */
  holdAnswer(bytes: number, drop: () => void): () => void;
  /** The request is over. */
  leave(): void;
}

/** What both kinds of senders cost their peer. */
abstract class SenderOfPeer implements Sender {
  abstract readonly isProxied: boolean;
  abstract readonly isStrange: boolean;
  readonly address: string;
  readonly peer: Peer;
  protected readonly table: SenderTable;

  constructor(address: string, peer: Peer, table: SenderTable) {
    this.address = address;
    this.peer = peer;
    this.table = table;
  }

  abstract prove(): void;
  abstract doubt(): void;
  abstract leave(): void;

  delay(cost = 1): number {
    return this.isStrange ? this.table.delayOf(this.peer, cost) : 0;
  }

  probeDelay(): number {
    return this.table.probeDelayOf(this.peer);
  }

  holdAnswer(bytes: number, drop: () => void): () => void {
    return this.table.holdAnswerOf(this.peer, bytes, drop);
  }
}

/**
 * The state of one request that arrived through a trusted proxy: its connection carries other senders' requests too.
 */
export class ProxiedSender extends SenderOfPeer {
  readonly isProxied = true;
  isStrange = true;

  constructor(address: string, peer: Peer, table: SenderTable) {
    super(address, peer, table);
    peer.uses++;
  }

  prove(): void {
    this.isStrange = false;
  }

  doubt(): void {}

  leave(): void {
    this.table.release(this.peer);
  }
}

/**
 * A connection belongs to a stranger until a request on it brings a genuine signature. It does again once it brings
 * another request, and some minutes after the last one that did.
 */
export class Connection extends SenderOfPeer {
  readonly isProxied = false;
  readonly socket: Socket;
  readonly since = performance.now();
  /** When a request on it brought a genuine signature, to some seconds; undefined if none has. */
  provenAt: number | undefined;
  /** Those of a fleet that connected at once do not do it again at once. */
  readonly #spread = 0.9 + 0.2 * Math.random();
  /** Serves one request at a time: a second one waits until the first is answered. */
  readonly turns = new Turns(1);
  /** The connection is a trusted proxy's: the senders of its requests are behind it. */
  readonly isProxy: boolean;
  #awaitsRoom = false;
  #isWatched = false;

  constructor(socket: Socket, peer: Peer, table: SenderTable) {
    super(socket.remoteAddress ?? '', peer, table);
    this.socket = socket;
    this.isProxy = table.isProxy(this.address);
  }

  get isStrange(): boolean {
    return this.peer.strangers.has(this);
  }

  /** The sender of a request on it. `forwardedFor`: the header that a proxy adds. */
  senderOf(forwardedFor: string | undefined): Sender {
    return this.isProxy ? this.table.senderBehind(this, forwardedFor) : this;
  }

  prove(): void {
    this.table.welcome(this);
  }

  doubt(): void {
    this.table.estrange(this);
  }

  /** Whether it is older than this, by a tenth more or less. */
  isOlderThan(ageMs: number): boolean {
    return performance.now() - this.since > ageMs * this.#spread;
  }

  /**
   * Stops reading while requests wait. node:http resumes the socket after each message that it parses, and one read may
   * bring many.
   */
  holdBack(): void {
    const { socket } = this;
    socket.pause();
    if (this.#isWatched) return;
    this.#isWatched = true;
    socket.on('resume', () => this.#isHeldBack && socket.pause());
  }

  get #isHeldBack(): boolean {
    return this.#awaitsRoom || this.turns.waiting > 0;
  }

  readOn(): void {
    if (!this.#isHeldBack && this.socket.isPaused()) this.socket.resume();
  }

  /**
   * Calls `start` in one of the peer's turns, and reads nothing until then: node:http would keep what arrives of the
   * body, as an object for each segment.
   */
  enter(turns: Turns, start: () => void): void {
    this.#awaitsRoom = true;
    turns.enter(() => {
      this.#awaitsRoom = false;
      this.readOn();
      start();
    });
    if (this.#awaitsRoom) this.holdBack();
  }

  /** Ends a connection that sent more requests at once than may wait, and charges a stranger for it. */
  cut(): void {
    // An HTTP parser goes on through what it has of an ended connection.
    if (!this.socket.destroyed) this.delay(OVERFLOW_COST);
    this.socket.destroy();
  }

  leave(): void {}
}
