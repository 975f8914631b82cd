import { randomUUID } from 'node:crypto';

/** More than return late on any connection that is of use: ten seconds' worth. */
const MAX_UNDER_WAY = 40;

/**
 * The beats that were sent and have not returned. A beat is a random value, and the time at which it was sent stays
 * here: whoever else publishes on the channel makes none return, and none from the future.
 */
export class Beats {
  readonly #sentAt = new Map<string, number>();
  #lastAt = Number.NEGATIVE_INFINITY;

  /** When the last beat that returned was sent (`performance.now()`). */
  get lastAt(): number {
    return this.#lastAt;
  }

  /** The next beat. */
  send(): string {
    if (this.#sentAt.size >= MAX_UNDER_WAY) this.#sentAt.delete(this.#sentAt.keys().next().value!);
    const beat = randomUUID();
    this.#sentAt.set(beat, performance.now());
    return beat;
  }

  /** Whether it is one that was under way; then all before it are not any more. */
  returned(beat: string): boolean {
    const at = this.#sentAt.get(beat);
    if (at === undefined) return false;
    for (const [earlier, sentAt] of this.#sentAt) if (sentAt <= at) this.#sentAt.delete(earlier);
    this.#lastAt = at;
    return true;
  }

  /** The subscription ended: changes since the last beat may have been missed. */
  lost(): void {
    this.#sentAt.clear();
    this.#lastAt = Number.NEGATIVE_INFINITY;
  }
}
