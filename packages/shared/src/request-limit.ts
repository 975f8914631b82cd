import type { Clock } from './clock.ts';

/** How many calls are allowed: `perSecond` in the long run, `burst` at once. */
export interface Rate {
  readonly perSecond: number;
  readonly burst: number;
}

/**
 * The longest that anything owed waits. Without it a flood would have others of its peer wait for days, and a timer
 * takes no more than 24 days: beyond, it goes off at once.
 */
const MAX_DEBT_S = 60;

/** A token bucket that limits what callers may make this process do. */
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

  /** Returns false if there were too many. */
  take(): boolean {
    this.#refill();
    if (this.#left < 1) return false;
    this.#left -= 1;
    return true;
  }

  /** A call that was taken turned out not to count. */
  giveBack(): void {
    this.#left = Math.min(this.#rate.burst, this.#left + 1);
  }

  /** Takes calls that may not be available yet; returns after how many milliseconds they will be: a minute at most. */
  owe(count = 1): number {
    this.#refill();
    this.#left = Math.max(this.#left - count, -MAX_DEBT_S * this.#rate.perSecond);
    return Math.max(0, -this.#left / this.#rate.perSecond) * 1000;
  }

  /** Whether more were taken than were available. */
  get owes(): boolean {
    this.#refill();
    return this.#left < 0;
  }

  #refill(): void {
    const now = this.#clock.now();
    const { perSecond, burst } = this.#rate;
    // Setting the clock back takes nothing away.
    const refill = (Math.max(0, now - this.#at) / 1000) * perSecond;
    this.#left = Math.min(burst, this.#left + refill);
    this.#at = now;
  }
}

const MAX_PEERS = 4096;

/**
 * A token bucket for each peer, or for anything else with a name. The buckets that were silent longest are forgotten
 * first: memory is bounded, whoever calls.
 */
export class PeerLimit {
  readonly #clock: Clock;
  readonly #rate: Rate;
  /** The most recent caller is the last entry. */
  readonly #peers = new Map<string, RequestLimit>();

  constructor(clock: Clock, rate: Rate) {
    this.#clock = clock;
    this.#rate = rate;
  }

  /** Returns false if this peer, a network of `networkOf`, called too often. */
  take(network: string): boolean {
    return this.#limitOf(network).take();
  }

  giveBack(network: string): void {
    this.#peers.get(network)?.giveBack();
  }

  /** As `RequestLimit.owe`, for a network of `networkOf`. */
  owe(network: string, count = 1): number {
    return this.#limitOf(network).owe(count);
  }

  owes(network: string): boolean {
    return this.#peers.get(network)?.owes === true;
  }

  #limitOf(network: string): RequestLimit {
    const limit = this.#peers.get(network) ?? new RequestLimit(this.#clock, this.#rate);
    this.#peers.delete(network);
    this.#peers.set(network, limit);
    if (this.#peers.size > MAX_PEERS) this.#peers.delete(this.#peers.keys().next().value!);
    return limit;
  }
}

/** An IPv4 address, or the first 64 bits of an IPv6 address, since one machine has all the rest. */
export function networkOf(text: string): string {
  const address = text.replace(/^\[|\]$/g, '');
  if (!address.includes(':')) return address;
  if (address.includes('.')) return address.slice(address.lastIndexOf(':') + 1);
  const [head = '', tail = ''] = address.split('::');
  const groups = (part: string): string[] => part.split(':').filter((group) => group !== '');
  const zeros = 8 - groups(head).length - groups(tail).length;
  return [...groups(head), ...Array<string>(Math.max(0, zeros)).fill('0'), ...groups(tail)].slice(0, 4).join(':');
}
