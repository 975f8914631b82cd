import { activeDomainKey, deactivatedAt, type DomainState } from '@keyfleet/shared/domain/state';
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
    if (progress.verifiedAt !== undefined) return;
    if (progress.reports.size < progress.shards) return this.#ask(generation, progress);
    if (foundNothing(progress)) return store.setVerified(generation, clock.now());
    return this.#startPass(generation, progress.pass + 1);
  }

  async #startPass(generation: number, pass: number): Promise<void> {
    await this.#deps.store.startPass(generation, pass, SHARDS);
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

/** A whole pass that had nothing to reseal and left nothing: the proof that older domain keys are not needed by what is stored. */
function foundNothing({ reports }: ResealProgress): boolean {
  return [...reports.values()].every(({ resealed, remaining }) => resealed === 0 && remaining === 0);
}

/**
 * Domain keys that the next rotation destroys: deactivated before the backup horizon began, and nothing stored is under them, which
 * `progress` must prove for the active key.
 */
export function droppable(state: DomainState, progress: ResealProgress | undefined, now: number): string[] {
  if (progress?.verifiedAt === undefined) return [];
  return state.domainKeys
    .map(({ id }) => ({ id, since: deactivatedAt(state, id) }))
    .filter(({ since }) => since !== undefined && now - since >= state.backupHorizonMs)
    .map(({ id }) => id);
}
