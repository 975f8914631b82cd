import { BoundedCache } from '@keyfleet/shared/bounded-cache';
import type { Clock } from '@keyfleet/shared/clock';

/** Nobody is still making a key whose record was missing this long. */
const ORPHAN_MS = 3_600_000;
const MAX_KNOWN = 10_000;

/**
 * Entries of lists whose records are missing: of a key that is being made, or left by a crash. Which of the two is told
 * by how long this process has seen it so, and never by the time that an entry says: that is by another machine's
 * clock.
 */
export class Orphans {
  readonly #clock: Clock;
  readonly #firstSeen = new BoundedCache<number>({ maxWeight: MAX_KNOWN });

  /** `clock`: a monotonic one. */
  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** True when the entry, missing now, has been missing for so long that its record will never come. */
  isLeft(entry: string): boolean {
    const now = this.#clock.now();
    const since = this.#firstSeen.get(entry);
    if (since !== undefined) return now - since > ORPHAN_MS;
    this.#firstSeen.set(entry, now);
    return false;
  }

  forget(entry: string): void {
    this.#firstSeen.delete(entry);
  }
}
