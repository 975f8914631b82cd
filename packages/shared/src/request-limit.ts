import type { Clock } from './clock.ts';

/** How many calls: `perSecond` for ever, `burst` at once. */
export interface Rate {
  readonly perSecond: number;
  readonly burst: number;
}

/** A token bucket: what callers may make this process do. */
export class RequestLimit {
  readonly #clock: Clock;
  readonly #rate: Rate;
  #left: number;
  #at: number;

  constructor(clock: Clock, rate: Rate) {
    this.#clock = clock;
    this.#rate = rate;
    this.#left = rate.burst;
    this.#at = clock.now();
  }

  /** False when there were too many. */
  take(): boolean {
    const now = this.#clock.now();
    const { perSecond, burst } = this.#rate;
    // A clock that is set back takes nothing away.
    const refill = (Math.max(0, now - this.#at) / 1000) * perSecond;
    this.#left = Math.min(burst, this.#left + refill);
    this.#at = now;
    if (this.#left < 1) return false;
    this.#left -= 1;
    return true;
  }
}

const MAX_PEERS = 4096;

/** A token bucket for each peer. The peers that were longest silent are forgotten first: memory is bounded, whoever calls. */
export class PeerLimit {
  readonly #clock: Clock;
  readonly #rate: Rate;
  /** The last to call is the last entry. */
  readonly #peers = new Map<string, RequestLimit>();

  constructor(clock: Clock, rate: Rate) {
    this.#clock = clock;
    this.#rate = rate;
  }

  /** `peer`: address and port, as gRPC gives it. False when this peer called too often. */
  take(peer: string): boolean {
    const network = networkOf(peer);
    const limit = this.#peers.get(network) ?? new RequestLimit(this.#clock, this.#rate);
    this.#peers.delete(network);
    this.#peers.set(network, limit);
    if (this.#peers.size > MAX_PEERS) this.#peers.delete(this.#peers.keys().next().value!);
    return limit.take();
  }
}

/** An IPv4 address; of an IPv6 address the first 64 bits, for one machine has all the others. Without the port. */
function networkOf(peer: string): string {
  const address = peer.slice(0, peer.lastIndexOf(':')).replace(/^\[|\]$/g, '');
  if (!address.includes(':')) return address;
  if (address.includes('.')) return address.slice(address.lastIndexOf(':') + 1);
  const [head = '', tail = ''] = address.split('::');
  const groups = (part: string): string[] => part.split(':').filter((group) => group !== '');
  const zeros = 8 - groups(head).length - groups(tail).length;
  return [...groups(head), ...Array<string>(Math.max(0, zeros)).fill('0'), ...groups(tail)].slice(0, 4).join(':');
}
