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
  readonly tokens: Pick<TokenLog, 'seenAt' | 'page'>;
  readonly store: SightingStore;
  readonly scheduler: Signer;
  readonly clock: Clock;
  /** For measuring durations. */
  readonly monotonicClock: Clock;
}

interface Sighting {
  readonly domain: string;
  readonly tokenHash: Buffer;
  /** Milliseconds since the epoch. */
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

  /** Milliseconds since the epoch, by this replica's clock. */
  seenAt(generation: number): number {
    return this.#byGeneration.get(generation)?.since ?? this.#deps.tokens.seenAt(generation);
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
    const since = Math.min(tokens.seenAt(generation), clock.now() - servedBefore);
    const countedFrom = monotonicClock.now();
    this.#byGeneration.set(generation, { domain, tokenHash: hash, since, servedBefore, countedFrom });
  }

  #store(generation: number, now: number): Promise<void> {
    const { store, scheduler } = this.#deps;
    const { servedBefore, countedFrom, domain, tokenHash: hash } = this.#byGeneration.get(generation)!;
    const servedMs = Math.floor(servedBefore + now - countedFrom);
    return store.putSighting(generation, signServedTime({ domain, tokenHash: hash, servedMs }, scheduler));
  }
}
