import { newKey } from '@keyfleet/frontend/store/key-store.contract';
import type { KeyStore } from '@keyfleet/frontend/store/store';
import { setTimeout as delay } from 'node:timers/promises';

type NewKey = ReturnType<typeof newKey>;

/** Writers who insert keys until they are stopped: what they were told is stored must be there. */
export class StoreLoad {
  /** In the order in which they were. */
  readonly acknowledged: NewKey[] = [];
  /** Of what was not acknowledged: it may be there all the same. */
  readonly errors: unknown[] = [];
  /** Milliseconds without an acknowledged write. */
  longestGap = 0;
  readonly #store: KeyStore;
  readonly #stop = new AbortController();
  readonly #writers: readonly Promise<void>[];

  constructor(store: KeyStore, writers = 4) {
    this.#store = store;
    let last = Date.now();
    const write = async (): Promise<void> => {
      while (!this.#stop.signal.aborted) {
        const key = newKey();
        try {
          await store.insertKey(key);
          this.acknowledged.push(key);
          this.longestGap = Math.max(this.longestGap, Date.now() - last);
          last = Date.now();
        } catch (error) {
          this.errors.push(error);
          await delay(50);
        }
      }
    };
    this.#writers = Array.from({ length: writers }, write);
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    await Promise.all(this.#writers);
  }

  /** Of the acknowledged, those that are not there. */
  async lost(): Promise<NewKey[]> {
    const lost: NewKey[] = [];
    for (const key of this.acknowledged) {
      if ((await this.#store.findKey(key.region, key.keyId)) === undefined) lost.push(key);
    }
    return lost;
  }
}
