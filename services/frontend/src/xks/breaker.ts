import { BoundedCache } from '@keyfleet/shared/bounded-cache';
import type { Clock } from '@keyfleet/shared/clock';

/** After this many failures in a row, the other side is considered away. */
const FAILURES = 5;
const SHORTEST_PAUSE_MS = 1_000;
const LONGEST_PAUSE_MS = 8_000;
/** Concurrent calls: more than a proxy is meant to take, and few enough that a hanging one holds up little. */
const AT_ONCE = 256;

/**
 * Stops calls to a peer that does not answer. After several failures in a row it makes no call for a while, and then a
 * single one, which decides whether the peer is back. Each pause is twice as long as the previous one.
 */
export class Breaker {
  readonly #clock: Clock;
  #failures = 0;
  #pauseMs = SHORTEST_PAUSE_MS;
  #pausedUntil = Number.NEGATIVE_INFINITY;
  #isTrying = false;
  #inFlight = 0;

  /** `clock` is monotonic. */
  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Why no call may be made now: the peer is away or has too many calls to answer. */
  get refusal(): 'away' | 'busy' | undefined {
    if (this.#inFlight >= AT_ONCE) return 'busy';
    if (this.#failures < FAILURES) return undefined;
    return this.#isTrying || this.#clock.now() < this.#pausedUntil ? 'away' : undefined;
  }

  /** Makes a call. `isAway`: whether an error means that nobody is there. */
  async run<T>(call: () => Promise<T>, isAway: (error: unknown) => boolean): Promise<T> {
    const tries = this.#failures >= FAILURES;
    if (tries) this.#isTrying = true;
    this.#inFlight++;
    try {
      const answer = await call();
      this.#succeeded();
      return answer;
    } catch (error) {
      if (isAway(error)) this.#failed(tries);
      else this.#succeeded();
      throw error;
    } finally {
      this.#inFlight--;
      if (tries) this.#isTrying = false;
    }
  }

  #succeeded(): void {
    this.#failures = 0;
    this.#pauseMs = SHORTEST_PAUSE_MS;
  }

  #failed(tried: boolean): void {
    this.#failures++;
    if (this.#failures < FAILURES) return;
    // Calls that began together fail together, and cause one pause.
    if (!tried && this.#failures > FAILURES) return;
    this.#pausedUntil = this.#clock.now() + this.#pauseMs;
    this.#pauseMs = Math.min(2 * this.#pauseMs, LONGEST_PAUSE_MS);
  }
}

/** Each call that makes a key store, also one that is refused, brings a name of its own: some 5 MB of them. */
const MAX_BREAKERS = 10_000;

/** A breaker for each peer, by name. One that was long not used may be forgotten, and then begins anew. */
export class Breakers {
  readonly #clock: Clock;
  readonly #known = new BoundedCache<Breaker>({ maxWeight: MAX_BREAKERS });

  /** `clock` is monotonic. */
  constructor(clock: Clock) {
    this.#clock = clock;
  }

  of(name: string): Breaker {
    const known = this.#known.get(name);
    if (known !== undefined) return known;
    const breaker = new Breaker(this.#clock);
    this.#known.set(name, breaker);
    return breaker;
  }
}
