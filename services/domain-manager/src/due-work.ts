import type { Clock } from '@keyfleet/shared/clock';
import { DUE_SHARDS, type DueItem } from '@keyfleet/shared/due-queue';

export interface DueWorkDeps {
  readonly clock: Clock;
  readonly everyMs: number;
  /**
   * Resolves to true once the items are on the work queue. `period` distinguishes a deliberate repetition from an
   * accidental one.
   */
  readonly publish: (items: readonly DueItem[], period: number) => Promise<boolean>;
}

const everyShard: readonly DueItem[] = Array.from({ length: DUE_SHARDS }, (_, shard) => ({ shard }));

/** Asks the frontends, once a period, to carry out what customers set a date for: deletions and rotations of keys. */
export class DueWork {
  readonly #deps: DueWorkDeps;
  /** Lost with the replica, which is harmless: a second request has no effect. */
  #asked: number | undefined;

  constructor(deps: DueWorkDeps) {
    this.#deps = deps;
  }

  async ask(): Promise<void> {
    const { clock, everyMs, publish } = this.#deps;
    const period = Math.floor(clock.now() / everyMs);
    const before = this.#asked;
    if (period === before) return;
    this.#asked = period;
    if (!(await publish(everyShard, period))) this.#asked = before;
  }
}
