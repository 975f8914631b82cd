import { BoundedCache } from '@keyfleet/shared/bounded-cache';
import type { Clock } from '@keyfleet/shared/clock';

/** Nobody is still creating a key whose record has been missing this long. */
const ORPHAN_MS = 3_600_000;
const MAX_KNOWN = 10_000;

/**
 * List entries whose records are missing, because the key is still being created or a crash left them. Which of the two
 * is decided by how long this process has seen the record missing, never by the time in the entry, which is another
 * machine's.
 */
export class Orphans {
  readonly #clock: Clock;
  /** By list and entry: another list may have the same. */
  readonly #firstSeen = new BoundedCache<number>({ maxWeight: MAX_KNOWN });

  /** `clock` is monotonic. */
  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** True if the entry, missing now, has been missing so long that its record will never come. */
  isLeft(list: string, entry: string): boolean {
    const now = this.#clock.now();
    const since = this.#firstSeen.get(nameOf(list, entry));
    if (since !== undefined) return now - since > ORPHAN_MS;
    this.#firstSeen.set(nameOf(list, entry), now);
    return false;
  }

  forget(list: string, entry: string): void {
    this.#firstSeen.delete(nameOf(list, entry));
  }
}

function nameOf(list: string, entry: string): string {
  return `${list} ${entry}`;
}
