import {
  activeDomainKey,
  CHANGEOVER_MS,
  type DomainState,
  domainKeysToRetire,
  newestAfterRemoval,
} from '@keyfleet/shared/domain/state';
import type { ResealItem } from '@keyfleet/shared/reseal-queue';
import type { Clock } from '@keyfleet/shared/clock';
import type { ResealProgress, ResealStore } from './store/store.ts';

/** Pieces of the key space: enough that several frontends share the work, few because each costs a scan over all names. */
export const SHARDS = 8;
/** A shard that nobody reported is asked for again. */
const ASK_AGAIN_MS = 60_000;

export interface ResealDeps {
  readonly store: ResealStore;
  readonly clock: Clock;
  /** True when the items are on the work queue. */
  readonly publish: (items: readonly ResealItem[], attempt: number) => Promise<boolean>;
}

/** Sees to it that nothing stays sealed under older domain keys. All it must remember is in the store. */
export class Resealing {
  readonly #deps: ResealDeps;
  /** What was asked for, so that a round does not ask again at once. Lost with the replica, which is harmless. */
  readonly #asked = new Map<string, number>();
  #progress: ResealProgress | undefined;

  constructor(deps: ResealDeps) {
    this.#deps = deps;
  }

  /** As it was when this replica last looked, which it does while it leads. */
  get progress(): ResealProgress | undefined {
    return this.#progress;
  }

  find(state: DomainState): Promise<ResealProgress | undefined> {
    return this.#deps.store.findReseal(activeDomainKey(state).createdGeneration);
  }

  /** Does the next thing. Only while every reachable member seals under the active domain key. */
  async advance(state: DomainState): Promise<void> {
    if (state.domainKeys.length === 1) return;
    const { store, clock } = this.#deps;
    const generation = activeDomainKey(state).createdGeneration;
    const progress = await store.findReseal(generation);
    this.#progress = progress;
    if (progress === undefined) {
      this.#asked.clear();
      return this.#startPass(generation, 1);
    }
    const { verifiedAt, reports, shards, pass } = progress;
    const owesProof = domainKeysToRetire(state).length > 0 && !provesRetirement(state, progress);
    if (verifiedAt !== undefined && !owesProof) return;
    if (reports.size < shards) return this.#ask(generation, progress);
    if (verifiedAt === undefined && foundNothing(progress)) return store.setVerified(generation, clock.now());
    // One more, once nothing can come under an older key any more.
    if (verifiedAt !== undefined && clock.now() < provableFrom(state)) return;
    return this.#startPass(generation, pass + 1);
  }

  async #startPass(generation: number, pass: number): Promise<void> {
    const { store, clock } = this.#deps;
    await store.startPass(generation, { pass, shards: SHARDS, startedAt: clock.now() });
    return this.#ask(generation, { pass, shards: SHARDS, reports: new Map() });
  }

  async #ask(
    generation: number,
    { pass, shards, reports }: Pick<ResealProgress, 'pass' | 'shards' | 'reports'>,
  ): Promise<void> {
    const { clock, publish } = this.#deps;
    const attempt = Math.floor(clock.now() / ASK_AGAIN_MS);
    const nameOf = ({ shard }: ResealItem): string => `${generation}/${pass}/${shard}`;
    const items = Array.from({ length: shards }, (_, shard) => ({ generation, pass, shard, shards })).filter(
      (item) => !reports.has(item.shard) && this.#asked.get(nameOf(item)) !== attempt,
    );
    if (items.length === 0 || !(await publish(items, attempt))) return;
    for (const item of items) this.#asked.set(nameOf(item), attempt);
  }
}

/**
 * Whether the pass that `progress` tells of was whole, found nothing under older domain keys, and began when nothing could come under those
 * that a former member may hold: so that these may open nothing from now on.
 */
export function provesRetirement(state: DomainState, progress: ResealProgress): boolean {
  const { reports, shards, startedAt } = progress;
  return reports.size === shards && foundNothing(progress) && startedAt >= provableFrom(state);
}

/**
 * Frontends take nothing under a key that went out of use longer ago; as much again for their clocks and for writes under way. And not
 * before the newest token, which may have reinstated a key that a restored backup needs.
 */
function provableFrom(state: DomainState): number {
  const removedAt = newestAfterRemoval(state)?.createdAt ?? 0;
  return Math.max(removedAt + CHANGEOVER_MS, state.madeAt) + CHANGEOVER_MS;
}

/** A whole pass that had nothing to reseal and left nothing: the proof that older domain keys are not needed by what is stored. */
function foundNothing({ reports }: ResealProgress): boolean {
  return [...reports.values()].every(({ resealed, remaining }) => resealed === 0 && remaining === 0);
}
