import type { Socket } from 'node:net';
import { type Clock, monotonicClock } from '@keyfleet/shared/clock';
import { FairRoom, type Room } from '@keyfleet/shared/grpc/fair-room';
import { networkOf, PeerLimit } from '@keyfleet/shared/request-limit';
import type { TrustedProxies } from './trusted-proxies.ts';
import { Turns } from './turns.ts';

/** Limits on what callers may take of one port. */
export interface ConnectionLimits {
  readonly connections: number;
  /** Connections of one peer that have not brought a genuine signature yet. */
  readonly strangers: number;
  /** Requests of one peer in flight; further ones wait. Generous, because a peer may be a load balancer. */
  readonly inFlight: number;
  /** Larger bodies that one peer's strangers may send at once; further ones wait unread. */
  readonly strangerUploads: number;
  /** How long a new connection waits to be read once its peer has used up its answers. Milliseconds. */
  readonly heedMs: number;
  /** Bytes of larger answers that were not read yet; the one that waits longest gives way. */
  readonly unread: Room;
}

/** Answers to strangers, per peer: enough for a fleet with a wrong secret, too few to keep a core busy. */
const STRANGERS_RATE = { perSecond: 50, burst: 100 };
/**
 * New connections that send something and bring no genuine signature, per peer: a TLS handshake takes a millisecond. A
 * fleet that starts behind one address brings its signatures at once, and these do not count.
 */
const CONNECT_RATE = { perSecond: 100, burst: 2_000 };
/** A connection this old may give way to a younger one of the same peer; an honest burst is over by then. */
const GRACE_MS = 1_000;
/** The answers that a stranger forfeits by sending more requests at once than may wait. */
const OVERFLOW_COST = 100;
/** How long the answer to a probe is delayed when its peer probes without end. */
const PROBE_DELAY_MS = 250;

/** Both a socket and grpc-js's view of a call have this shape. */
interface RemoteEnd {
  readonly remoteAddress?: string | undefined;
  readonly remotePort?: number | undefined;
}

function nameOf({ remoteAddress, remotePort }: RemoteEnd): string {
  return `${remoteAddress} ${remotePort}`;
}

/** Everything from one IPv4 address, or from one IPv6 /64. */
class Peer {
  readonly network: string;
  readonly strangers = new Set<Connection>();
  /** Those of them that are not read yet, the first to come first, and how to have them read. */
  readonly waiting = new Map<Connection, () => void>();
  readonly turns: Turns;
  readonly strangerUploads: Turns;
  /** Connections, and requests that arrived through a trusted proxy. */
  uses = 0;

  constructor(network: string, { inFlight, strangerUploads }: ConnectionLimits) {
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
  /**
   * Call before answering a request without a genuine signature. Returns the milliseconds that the answer must wait. An
   * honest connection with one broken request on it, such as a load balancer's, never waits.
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

/**
 * The state of one request that arrived through a trusted proxy: its connection carries other senders' requests too.
 */
class ProxiedSender implements Sender {
  readonly isProxied = true;
  readonly address: string;
  readonly peer: Peer;
  isStrange = true;
  readonly #connections: Connections;

  constructor(address: string, peer: Peer, connections: Connections) {
    this.address = address;
    this.peer = peer;
    this.#connections = connections;
    peer.uses++;
  }

  prove(): void {
    this.isStrange = false;
  }
  delay(cost = 1): number {
    return this.isStrange ? this.#connections.delayOf(this.peer, cost) : 0;
  }
  probeDelay(): number {
    return this.#connections.probeDelayOf(this.peer);
  }
  holdAnswer(bytes: number, drop: () => void): () => void {
    return this.#connections.holdAnswerOf(this.peer, bytes, drop);
  }
  leave(): void {
    this.#connections.release(this.peer);
  }
}

/** A connection belongs to a stranger until a request on it brings a genuine signature. */
export class Connection implements Sender {
  readonly isProxied = false;
  readonly socket: Socket;
  readonly address: string;
  readonly peer: Peer;
  readonly since = performance.now();
  /** Those of a fleet that connected at once do not do it again at once. */
  readonly #spread = 0.9 + 0.2 * Math.random();
  /** Serves one request at a time: a second one waits until the first is answered. */
  readonly turns = new Turns(1);
  /** The connection is a trusted proxy's: the senders of its requests are behind it. */
  readonly isProxy: boolean;
  readonly #connections: Connections;
  #isWatched = false;

  constructor(socket: Socket, peer: Peer, connections: Connections) {
    this.socket = socket;
    this.address = socket.remoteAddress ?? '';
    this.peer = peer;
    this.#connections = connections;
    this.isProxy = connections.isProxy(this.address);
  }

  get isStrange(): boolean {
    return this.peer.strangers.has(this);
  }

  /** The sender of a request on it. `forwardedFor`: the header that a proxy adds. */
  senderOf(forwardedFor: string | undefined): Sender {
    return this.isProxy ? this.#connections.senderBehind(this, forwardedFor) : this;
  }

  prove(): void {
    if (this.isStrange) this.#connections.welcome(this);
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
    const { socket, turns } = this;
    socket.pause();
    if (this.#isWatched) return;
    this.#isWatched = true;
    socket.on('resume', () => turns.waiting > 0 && socket.pause());
  }

  readOn(): void {
    if (this.turns.waiting === 0 && this.socket.isPaused()) this.socket.resume();
  }

  /** Ends a connection that sent more requests at once than may wait, and charges a stranger for it. */
  cut(): void {
    // An HTTP parser goes on through what it has of an ended connection.
    if (!this.socket.destroyed) this.delay(OVERFLOW_COST);
    this.socket.destroy();
  }

  delay(cost = 1): number {
    return this.isStrange ? this.#connections.delayOf(this.peer, cost) : 0;
  }

  probeDelay(): number {
    return this.#connections.probeDelayOf(this.peer);
  }

  holdAnswer(bytes: number, drop: () => void): () => void {
    return this.#connections.holdAnswerOf(this.peer, bytes, drop);
  }

  leave(): void {}
}

/**
 * The connections to one port. A peer without credentials can neither take others' places nor keep this process busy:
 * when places run out the oldest stranger is dropped, and answers to a peer's strangers are limited in rate.
 */
export class Connections {
  readonly #limits: ConnectionLimits;
  readonly #proxies: TrustedProxies;
  readonly #answers: PeerLimit;
  readonly #probes: PeerLimit;
  readonly #connects: PeerLimit;
  readonly #unread: FairRoom<() => void>;
  readonly #peers = new Map<string, Peer>();
  readonly #connections = new Map<string, Connection>();
  /** The oldest first. */
  readonly #strangers = new Set<Connection>();

  constructor(limits: ConnectionLimits, proxies: TrustedProxies, clock: Clock = monotonicClock) {
    this.#limits = limits;
    this.#proxies = proxies;
    this.#answers = new PeerLimit(clock, STRANGERS_RATE);
    this.#probes = new PeerLimit(clock, STRANGERS_RATE);
    this.#connects = new PeerLimit(clock, CONNECT_RATE);
    this.#unread = new FairRoom(limits.unread, (drop) => drop());
  }

  /**
   * Serves a new connection: at once, or after a while if its peer is a nuisance or connects without end. Until then
   * nobody reads it: to pause its socket would not do, as an HTTP parser or TLS reads from beneath it.
   */
  admit(socket: Socket, serve: (socket: Socket) => void): void {
    const wait = this.#add(socket);
    if (wait === 0) return serve(socket);
    socket.on('error', () => socket.destroy());
    const connection = this.of(socket)!;
    const read = (): void => {
      clearTimeout(due);
      connection.peer.waiting.delete(connection);
      serve(socket);
    };
    const due = setTimeout(read, wait);
    socket.once('close', () => clearTimeout(due));
    connection.peer.waiting.set(connection, read);
    // The newest gives way here: otherwise nobody would ever be read while somebody at this address connects on and on.
    if (connection.peer.waiting.size > this.#limits.strangers / 2) socket.destroy();
  }

  /** Returns the milliseconds to wait before reading it. */
  #add(socket: Socket): number {
    const peer = this.#peerOf(socket.remoteAddress ?? '');
    const connection = new Connection(socket, peer, this);
    const name = nameOf(socket);
    this.#connections.set(name, connection);
    peer.uses++;
    socket.once('close', () => this.#remove(name, connection));
    if (connection.isProxy) return 0;
    this.#strangers.add(connection);
    peer.strangers.add(connection);
    const heed = this.#answers.owes(peer.network) ? this.#limits.heedMs : 0;
    this.#makeRoom(peer, heed > 0 ? 0 : GRACE_MS);
    return Math.max(heed, this.#connects.owe(peer.network));
  }

  of(end: RemoteEnd): Connection | undefined {
    return this.#connections.get(nameOf(end));
  }

  isProxy(address: string): boolean {
    return this.#proxies.trusts(address);
  }

  /** Behind a connection of a trusted proxy. */
  senderBehind(connection: Connection, forwardedFor: string | undefined): Sender {
    const source = this.#proxies.sourceOf(connection.address, forwardedFor);
    return new ProxiedSender(source, this.#peerOf(source), this);
  }

  /** It brought its first genuine signature: another of its peer is read in its place. */
  welcome(connection: Connection): void {
    const [next] = connection.peer.waiting.values();
    if (next) next();
    else this.#connects.giveBack(connection.peer.network);
    this.#acquaint(connection);
  }

  #acquaint(connection: Connection): void {
    this.#strangers.delete(connection);
    connection.peer.strangers.delete(connection);
  }

  holdAnswerOf({ network }: Peer, bytes: number, drop: () => void): () => void {
    this.#unread.add(network, drop, bytes);
    return () => this.#unread.remove(network, drop);
  }

  delayOf(peer: Peer, cost: number): number {
    return this.#answers.owe(peer.network, cost);
  }

  probeDelayOf(peer: Peer): number {
    return this.#probes.owe(peer.network) > 0 ? PROBE_DELAY_MS : 0;
  }

  #makeRoom(peer: Peer, graceMs: number): void {
    const [oldestOfPeer] = peer.strangers;
    const isOld = oldestOfPeer !== undefined && performance.now() - oldestOfPeer.since >= graceMs;
    if (peer.strangers.size > this.#limits.strangers && isOld) oldestOfPeer.socket.destroy();
    const [oldest] = this.#strangers;
    // The newest connection is itself a stranger, so one can always be dropped.
    if (this.#connections.size > this.#limits.connections) oldest?.socket.destroy();
  }

  release(peer: Peer): void {
    if (--peer.uses === 0) this.#peers.delete(peer.network);
  }

  #peerOf(address: string): Peer {
    const network = networkOf(address);
    let peer = this.#peers.get(network);
    if (peer === undefined) this.#peers.set(network, (peer = new Peer(network, this.#limits)));
    return peer;
  }

  #remove(name: string, connection: Connection): void {
    const { peer, socket } = connection;
    // It cost nothing.
    if (connection.isStrange && (peer.waiting.delete(connection) || socket.bytesRead === 0))
      this.#connects.giveBack(peer.network);
    this.#acquaint(connection);
    // A client that resets a connection may have its successor accepted from the same port before this is heard.
    if (this.#connections.get(name) === connection) this.#connections.delete(name);
    this.release(connection.peer);
  }
}
