import type { Clock } from '@keyfleet/shared/clock';
import { CLOCK_SKEW_MS, type Hello, sha256 } from '@keyfleet/shared/hsm/session';

/**
 * Per two minutes; 2 MB. A frontend in trouble sends about one a second, `MAX_FRONTENDS_OF_HOST` may share one host
 * key, and a hostile member may refuse what it is sent and pass it on: that must not use up the places of genuine
 * hellos.
 */
const MAX_PER_HOST = 16_384;

/**
 * The recently answered hellos, so that none is answered twice. Hellos from any other time are refused for their time.
 */
export class HelloMemory {
  readonly #clock: Clock;
  /** When each hello was issued, by host, then by the hello's hash. */
  readonly #answered = new Map<string, Map<string, number>>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** `message` is the encoded hello without its signature, because one ECDSA signature can be turned into another. */
  isFresh(message: Uint8Array, { hostId, issuedAt }: Hello): boolean {
    return this.#isOfNow(issuedAt) && this.#answered.get(hostId)?.has(nameOf(message)) !== true;
  }

  /**
   * Remembers a hello whose signature was verified. Returns false if it is no longer fresh, or its host sent too many.
   */
  take(message: Uint8Array, hello: Hello): boolean {
    if (!this.isFresh(message, hello)) return false;
    const { hostId, issuedAt } = hello;
    const ofHost = this.#answered.getOrInsertComputed(hostId, () => new Map<string, number>());
    // The oldest came first, give or take what clocks differ.
    for (const [name, at] of ofHost) {
      if (this.#isOfNow(at)) break;
      ofHost.delete(name);
    }
    if (ofHost.size >= MAX_PER_HOST) return false;
    ofHost.set(nameOf(message), issuedAt);
    return true;
  }

  #isOfNow(issuedAt: number): boolean {
    return Math.abs(this.#clock.now() - issuedAt) <= CLOCK_SKEW_MS;
  }
}

function nameOf(message: Uint8Array): string {
  return sha256(message).toString('base64');
}
