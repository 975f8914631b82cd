import type { Clock } from '@keyfleet/shared/clock';
import type { Signer } from '@keyfleet/shared/domain/proposal';
import { type DomainState, domainKeysToRetire, newestAfterRemoval } from '@keyfleet/shared/domain/state';
import { tokenHash } from '@keyfleet/shared/domain/token';
import { servedMsOf, signServedTime } from './served-time.ts';
import type { SightingStore } from './store/store.ts';
import type { TokenLog } from './token-log.ts';

/** The most time that can be lost with a replica. */
const KEEP_EVERY_MS = 10_000;

export interface SightingsDeps {
  readonly tokens: Pick<TokenLog, 'seenForMs' | 'page'>;
  readonly store: SightingStore;
  readonly scheduler: Signer;
  readonly clock: Clock;
  /** For measuring durations. */
  readonly monotonicClock: Clock;
}

interface Sighting {
  readonly domain: string;
  readonly tokenHash: Buffer;
  /** Milliseconds since the epoch, by the clock as it was when this replica began counting. */
  readonly since: number;
  /** Milliseconds served before this replica began counting. */
  readonly servedBefore: number;
  /** By the monotonic clock. */
  readonly countedFrom: number;
}

/**
 * How long the tokens that a retirement waits for have been visible. Time served by earlier replicas, and by this one
 * before a restart, counts: they leave it signed in the store. Time in which no replica ran does not: nobody could
 * learn of the token then.
 */
export class Sightings {
  readonly #deps: SightingsDeps;
  readonly #byGeneration = new Map<number, Sighting>();
  #keptAt = -Infinity;

  constructor(deps: SightingsDeps) {
    this.#deps = deps;
  }

  /**
   * Milliseconds since the epoch, by this replica's clock. If that was set forward, the date is later, too, so that
   * nothing is waited for less; if it was set back, the date stays, so that what began before does not seem to have
   * begun long after.
   */
  seenAt(generation: number): number {
    const { since = -Infinity } = this.#byGeneration.get(generation) ?? {};
    return Math.max(since, this.#deps.clock.now() - this.seenForMs(generation));
  }

  /** Milliseconds that domain-managers have served the token of that generation. */
  seenForMs(generation: number): number {
    const { tokens, monotonicClock } = this.#deps;
    const sighting = this.#byGeneration.get(generation);
    return sighting === undefined ? tokens.seenForMs(generation) : servedMs(sighting, monotonicClock.now());
  }

  /** Call in every round of the leader. */
  async keep(state: DomainState): Promise<void> {
    if (domainKeysToRetire(state).length === 0) return;
    const generations = [newestAfterRemoval(state)!.createdGeneration, state.generation];
    for (const generation of generations) await this.#find(state.domain, generation);
    const now = this.#deps.monotonicClock.now();
    if (now - this.#keptAt < KEEP_EVERY_MS) return;
    await Promise.all(generations.map((generation) => this.#store(generation, now)));
    this.#keptAt = now;
  }

  async #find(domain: string, generation: number): Promise<void> {
    if (this.#byGeneration.has(generation)) return;
    const { tokens, store, scheduler, clock, monotonicClock } = this.#deps;
    const hash = tokenHash(tokens.page(generation - 1)[0]!);
    const stored = await store.findSighting(generation);
    const servedBefore = stored === undefined ? 0 : servedMsOf(stored, { domain, tokenHash: hash }, scheduler);
    const since = clock.now() - servedBefore;
    const countedFrom = monotonicClock.now();
    this.#byGeneration.set(generation, { domain, tokenHash: hash, since, servedBefore, countedFrom });
  }

  #store(generation: number, now: number): Promise<void> {
    const { store, scheduler } = this.#deps;
    const sighting = this.#byGeneration.get(generation)!;
    const { domain, tokenHash: hash } = sighting;
    const served = { domain, tokenHash: hash, servedMs: Math.floor(servedMs(sighting, now)) };
    return store.putSighting(generation, signServedTime(served, scheduler));
  }
}

/** `now`: by the monotonic clock. */
function servedMs({ servedBefore, countedFrom }: Sighting, now: number): number {
  return servedBefore + now - countedFrom;
}
