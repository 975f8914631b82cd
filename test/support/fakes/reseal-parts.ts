import type { Found, Parts } from '@keyfleet/frontend/background/reseal-parts';

/** Each pass has the names one by one. */
export class FakeParts implements Parts {
  readonly reported: Found[] = [];
  readonly #names: readonly string[];

  constructor(names: readonly string[]) {
    this.#names = names;
  }

  async open() {
    const waiting = [...this.#names];
    return {
      next: async (found: Found) => {
        this.reported.push(found);
        const name = waiting.shift();
        return name === undefined ? undefined : [name];
      },
      leave: async (found: Found) => void this.reported.push(found),
    };
  }

  /** Of all that was reported since it was last asked for. */
  takeSum(): Found {
    const sum = { resealed: 0, remaining: 0 };
    for (const { resealed, remaining } of this.reported.splice(0)) {
      sum.resealed += resealed;
      sum.remaining += remaining;
    }
    return sum;
  }
}

/** For work that is never stopped. */
export const untilDone = { alive: () => {}, stop: new AbortController().signal };
