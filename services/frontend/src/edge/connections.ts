import type { Socket } from 'node:net';
import { type Clock, monotonicClock } from '@keyfleet/shared/clock';
import { FairRoom, type Room } from '@keyfleet/shared/grpc/fair-room';
import { networkOf, PeerLimit } from '@keyfleet/shared/request-limit';
import { Connection, Peer, type PeerLimits, ProxiedSender, type Sender } from './sender.ts';
import type { TrustedProxies } from './trusted-proxies.ts';

/** Limits on what callers may take of one port. */
export interface ConnectionLimits extends PeerLimits {
  readonly connections: number;
  /** Connections of one peer that have not brought a genuine signature yet. */
  readonly strangers: number;
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
/** How long a connection is known after a genuine signature: such a signature is good for as long. */
const KNOWN_MS = 300_000;
/** How exactly that is counted. */
const PROVEN_WITHIN_MS = 10_000;
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
  /** Who became one first is first. */
  readonly #strangers = new Set<Connection>();
  /** Neither strangers nor proxies: whose last genuine signature is the oldest is first. */
  readonly #known = new Set<Connection>();
  readonly #clock: Clock;
  #isClosed = false;

  constructor(limits: ConnectionLimits, proxies: TrustedProxies, clock: Clock = monotonicClock) {
    this.#limits = limits;
    this.#proxies = proxies;
    this.#clock = clock;
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
    if (this.#isClosed) return void socket.destroy();
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

  /** The port takes no more: nobody who still waits to be read is. A server does not know them, and cannot end them. */
  close(): void {
    this.#isClosed = true;
    for (const { waiting } of this.#peers.values()) for (const { socket } of waiting.keys()) socket.destroy();
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
    this.#forgetKnown();
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

  /** It brought a genuine signature. At its first one another of its peer is read in its place. */
  welcome(connection: Connection): void {
    const { peer, provenAt } = connection;
    const now = this.#clock.now();
    if (this.#known.has(connection) ? now - provenAt! < PROVEN_WITHIN_MS : !connection.isStrange) return;
    this.#acquaint(connection);
    connection.provenAt = now;
    this.#known.add(connection);
    if (provenAt !== undefined) return;
    this.#connects.giveBack(peer.network);
    const [next] = peer.waiting.values();
    next?.();
  }

  /** It is a stranger's from now on, if it was known. */
  estrange(connection: Connection): void {
    if (!this.#known.delete(connection)) return;
    this.#strangers.add(connection);
    connection.peer.strangers.add(connection);
  }

  #forgetKnown(): void {
    const before = this.#clock.now() - KNOWN_MS;
    for (const connection of this.#known) {
      if (connection.provenAt! > before) return;
      this.estrange(connection);
    }
  }

  #acquaint(connection: Connection): void {
    this.#strangers.delete(connection);
    connection.peer.strangers.delete(connection);
    this.#known.delete(connection);
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
