import { CLOCK_TOLERANCE_MS } from '@keyfleet/shared/domain/chain';
import {
  activeDomainKey,
  CHANGEOVER_MS,
  type DomainState,
  domainKeysToRetire,
  newestAfterRemoval,
} from '@keyfleet/shared/domain/state';
import { RESEAL_SHARDS, type ResealItem } from '@keyfleet/shared/reseal-queue';
import type { Clock } from '@keyfleet/shared/clock';
import type { ResealProgress, ResealStore } from './store/store.ts';
import type { Sightings } from './sightings.ts';

/** A part takes seconds: if none was taken or reported for this long, nobody works on the unfinished shards. */
const ASK_AGAIN_MS = 90_000;
/**
 * How long a replica that takes over waits for a sign of life: to ask at once would take parts from those who work on
 * them.
 */
const FIRST_SIGN_MS = 30_000;
/**
 * A frontend copies tokens from a multi-Region key's record to that of another Region within seconds of reading them
 * (services/frontend/src/multi-region/spread.ts). What it read before a pass resealed it must be there when the pass
 * that proves something begins, which may look at the other record first.
 */
const COPYING_MS = 60_000;

/** The chain's record of when each token was first seen. */
type SeenTokens = Pick<Sightings, 'seenAt'>;

export interface ResealDeps {
  readonly store: ResealStore;
  readonly clock: Clock;
  /** For what this replica waits for: its clock may be set meanwhile. */
  readonly monotonicClock: Clock;
  /** Resolves to true once the items are on the work queue. */
  readonly publish: (items: readonly ResealItem[], attempt: number) => Promise<boolean>;
}

/** Has everything resealed under the active domain key, pass by pass. Its state is in the store. */
export class ResealPasses {
  readonly #deps: ResealDeps;
  /** The last sign of progress, and when it was seen or requested. Lost with the replica, which is harmless. */
  #seen = { sign: '', at: 0 };
  /** A pass that this replica began but has not put on the work queue yet. */
  #owed = '';
  /** The last pass that was complete, and when this replica saw that first. A successor waits anew. */
  #complete = { pass: '', at: 0 };
  #progress: ResealProgress | undefined;

  constructor(deps: ResealDeps) {
    this.#deps = deps;
  }

  /** As of this replica's last look; only the leader looks. */
  get progress(): ResealProgress | undefined {
    return this.#progress;
  }

  find(state: DomainState): Promise<ResealProgress | undefined> {
    return this.#deps.store.findReseal(activeDomainKey(state).createdGeneration);
  }

  /** Takes the next step. Call it while every reachable member seals under the active domain key. */
  async advance(state: DomainState, sightings: SeenTokens): Promise<void> {
    if (state.domainKeys.length === 1) return;
    const { store, clock } = this.#deps;
    const generation = activeDomainKey(state).createdGeneration;
    const progress = await store.findReseal(generation);
    this.#progress = progress;
    if (progress === undefined) return this.#startPass(generation, 1);
    const { verifiedAt, reports, shards, pass, startedAt } = progress;
    // Begun by a replica whose clock was wrong: such a pass would prove too much. Or by nobody, before there was a key.
    const { createdAt } = activeDomainKey(state);
    if (startedAt > clock.now() || startedAt < createdAt - CLOCK_TOLERANCE_MS)
      return this.#startPass(generation, pass + 1);
    const owesProof = domainKeysToRetire(state).length > 0 && !provesRetirement(state, progress, sightings);
    if (verifiedAt !== undefined && !owesProof) return;
    if (reports.size < shards) return this.#ask(generation, progress);
    if (verifiedAt === undefined && foundNothing(progress)) return store.setVerified(generation, clock.now());
    const mayProve = clock.now() >= provableFrom(state, sightings);
    // One more pass, once nothing new can be sealed under an older key.
    if (verifiedAt !== undefined && !mayProve) return;
    if (mayProve && !foundNothing(progress) && this.#completeForMs(generation, pass) < COPYING_MS) return;
    return this.#startPass(generation, pass + 1);
  }

  #completeForMs(generation: number, number: number): number {
    const now = this.#deps.monotonicClock.now();
    const pass = `${generation}/${number}`;
    if (this.#complete.pass !== pass) this.#complete = { pass, at: now };
    return now - this.#complete.at;
  }

  async #startPass(generation: number, pass: number): Promise<void> {
    const { store, clock } = this.#deps;
    await store.startPass(generation, { pass, shards: RESEAL_SHARDS, startedAt: clock.now() });
    this.#owed = `${generation}/${pass}`;
    return this.#ask(generation, { pass, shards: RESEAL_SHARDS, reports: new Map(), parts: 0 });
  }

  /** Asks at once for a pass that began here, and again if it shows no sign of life. */
  async #ask(
    generation: number,
    { pass, shards, reports, parts }: Pick<ResealProgress, 'pass' | 'shards' | 'reports' | 'parts'>,
  ): Promise<void> {
    const { clock, monotonicClock, publish } = this.#deps;
    const now = monotonicClock.now();
    const begun = `${generation}/${pass}`;
    const sign = `${begun}: ${parts} parts, ${reports.size} done`;
    if (this.#seen.sign !== sign) {
      const isKnown = this.#seen.sign.startsWith(`${begun}:`);
      this.#seen = { sign, at: isKnown ? now : now - ASK_AGAIN_MS + FIRST_SIGN_MS };
    }
    if (this.#owed !== begun && now - this.#seen.at < ASK_AGAIN_MS) return;
    const all = Array.from({ length: shards }, (_, shard) => ({ generation, pass, shard, shards }));
    const items = all.filter(({ shard }) => !reports.has(shard));
    if (!(await publish(items, Math.floor(clock.now() / ASK_AGAIN_MS)))) return;
    this.#owed = '';
    this.#seen = { sign, at: now };
  }
}

/**
 * Whether the pass in `progress` was complete, found nothing under older domain keys, and began when nothing new could
 * be stored under those that a former member may hold: so these may open nothing from now on.
 */
export function provesRetirement(state: DomainState, progress: ResealProgress, sightings: SeenTokens): boolean {
  const { reports, shards, startedAt } = progress;
  return reports.size === shards && foundNothing(progress) && startedAt >= provableFrom(state, sightings);
}

/**
 * Frontends store nothing under a key that went out of use longer ago; the same time again allows for their clocks and
 * for writes in progress. The pass must not begin before the newest token either, which may have reinstated a key that
 * a restored backup needs. Both times count from when the token was seen, if that is later than its own time: its
 * preparer may have backdated it.
 */
function provableFrom(state: DomainState, sightings: SeenTokens): number {
  const removal = newestAfterRemoval(state);
  const removedAt =
    removal === undefined ? 0 : Math.max(removal.createdAt, sightings.seenAt(removal.createdGeneration));
  const newestAt = Math.max(state.madeAt, sightings.seenAt(state.generation));
  return Math.max(removedAt + CHANGEOVER_MS, newestAt) + CHANGEOVER_MS;
}

/** A complete pass with nothing to reseal and nothing left: the proof that nothing stored needs older domain keys. */
function foundNothing({ reports }: ResealProgress): boolean {
  return [...reports.values()].every(({ resealed, remaining }) => resealed === 0 && remaining === 0);
}
