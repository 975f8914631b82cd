import type { Socket } from 'node:net';
import { networkOf, PeerLimit } from '@keyfleet/shared/request-limit';
import type { TrustedProxies } from './trusted-proxies.ts';
import { Turns } from './turns.ts';

/** What callers may have of one port. */
export interface ConnectionLimits {
  readonly connections: number;
  /** Of one peer, that have brought no genuine signature yet. */
  readonly strangers: number;
  /** Requests in flight of one peer; more wait. Generous, for a peer may be a load balancer. */
  readonly inFlight: number;
  /** Larger bodies that strangers of one peer may be sending; more wait, and are not read. */
  readonly strangerUploads: number;
  /** How long a new connection waits to be read when its peer has had more answers than it may have. Milliseconds. */
  readonly heedMs: number;
}

/** Answers to strangers, for each peer: enough for a fleet with a wrong secret, too few to keep a core busy. */
const STRANGERS_RATE = { perSecond: 50, burst: 100 };
/** A connection of this age may give way to a younger one of its peer; a burst of honest ones is done by then. */
const GRACE_MS = 1_000;
/** What it costs a stranger of them to send more requests at once than may wait. */
const OVERFLOW_COST = 100;
/** How much later a probe is answered whose peer probes without end. */
const PROBE_DELAY_MS = 250;

/** A socket has it, and so has what grpc-js tells of a call. */
interface RemoteEnd {
  readonly remoteAddress?: string | undefined;
  readonly remotePort?: number | undefined;
}

function nameOf({ remoteAddress, remotePort }: RemoteEnd): string {
  return `${remoteAddress} ${remotePort}`;
}

/** Everything that comes from one IPv4 address, or one IPv6 network of 64 bits. */
class Peer {
  readonly network: string;
  readonly strangers = new Set<Connection>();
  readonly turns: Turns;
  readonly strangerUploads: Turns;
  /** Connections, and requests that came by a trusted proxy. */
  uses = 0;

  constructor(network: string, { inFlight, strangerUploads }: ConnectionLimits) {
    this.network = network;
    this.turns = new Turns(inFlight);
    this.strangerUploads = new Turns(strangerUploads);
  }
}

/** Who sends a request: whoever is connected, or behind a trusted proxy whoever that says. */
export interface Sender {
  readonly address: string;
  readonly peer: Peer;
  readonly isStrange: boolean;
  /** It came by a trusted proxy, which is believed what it says of it. */
  readonly isProxied: boolean;
  /** Called for each genuine signature. */
  prove(): void;
  /**
   * Before an answer to a request without a genuine signature: how many milliseconds it has to wait. An honest
   * connection with one broken request on it, such as a load balancer's, never waits.
   */
  delay(cost?: number): number;
  /**
   * The same for a probe, which waits a quarter of a second at most: a load balancer's must not fail for what others
   * do.
   */
  probeDelay(): number;
  /** The request is over. */
  leave(): void;
}

/** Of one request that came by a trusted proxy: others on the same connection are of others. */
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
  leave(): void {
    this.#connections.release(this.peer);
  }
}

/** A connection is a stranger's until a request on it brings a genuine signature. */
export class Connection implements Sender {
  readonly isProxied = false;
  readonly socket: Socket;
  readonly address: string;
  readonly peer: Peer;
  readonly since = performance.now();
  /** One request at a time: whoever sends a second before the first is answered waits. */
  readonly turns = new Turns(1);
  /** It is a trusted proxy's: whoever sends the requests on it is behind. */
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

  /** Who sends a request on it. `forwardedFor`: the header that a proxy adds. */
  senderOf(forwardedFor: string | undefined): Sender {
    return this.isProxy ? this.#connections.senderBehind(this, forwardedFor) : this;
  }

  prove(): void {
    if (this.isStrange) this.#connections.acquaint(this);
  }

  /**
   * Lets nothing more be read while requests wait. node:http reads on after every message that it has parsed, of which
   * a read brings many.
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

  /** Ends a connection that sent more requests at once than may wait; a stranger pays for it. */
  cut(): void {
    this.delay(OVERFLOW_COST);
    this.socket.destroy();
  }

  delay(cost = 1): number {
    return this.isStrange ? this.#connections.delayOf(this.peer, cost) : 0;
  }

  probeDelay(): number {
    return this.#connections.probeDelayOf(this.peer);
  }

  leave(): void {}
}

/**
 * Who is connected to a port. Whoever has no credentials can neither take the places of others nor keep this process
 * busy: when places run out the oldest stranger gives way, and answers to the strangers of a peer come at a bounded
 * rate.
 */
export class Connections {
  readonly #limits: ConnectionLimits;
  readonly #proxies: TrustedProxies;
  readonly #answers: PeerLimit;
  readonly #probes: PeerLimit;
  readonly #peers = new Map<string, Peer>();
  readonly #connections = new Map<string, Connection>();
  /** The oldest first. */
  readonly #strangers = new Set<Connection>();

  constructor(limits: ConnectionLimits, proxies: TrustedProxies) {
    this.#limits = limits;
    this.#proxies = proxies;
    const clock = { now: () => performance.now() };
    this.#answers = new PeerLimit(clock, STRANGERS_RATE);
    this.#probes = new PeerLimit(clock, STRANGERS_RATE);
  }

  /** Takes a new connection in. Gives after how many milliseconds it may be read: 0 unless its peer is a nuisance. */
  add(socket: Socket): number {
    const { remoteAddress = '' } = socket;
    const peer = this.#peerOf(remoteAddress);
    const connection = new Connection(socket, peer, this);
    const name = nameOf(socket);
    this.#connections.set(name, connection);
    peer.uses++;
    socket.once('close', () => this.#remove(name, connection));
    if (connection.isProxy) return 0;
    this.#strangers.add(connection);
    peer.strangers.add(connection);
    const isNuisance = this.#answers.owes(peer.network);
    this.#makeRoom(peer, isNuisance ? 0 : GRACE_MS);
    return isNuisance ? this.#limits.heedMs : 0;
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

  acquaint(connection: Connection): void {
    this.#strangers.delete(connection);
    connection.peer.strangers.delete(connection);
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
    // The newest is a stranger itself, so that there is always one to go.
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
    this.acquaint(connection);
    this.#connections.delete(name);
    this.release(connection.peer);
  }
}
