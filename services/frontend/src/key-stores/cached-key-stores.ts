import type { KeyInStore } from '@keyfleet/shared/stored/key-store-keys';
import type { Scope } from '@keyfleet/shared/stored/names';
import { type ChangeListener, type Changes, keyStoresName } from '../store/change-feed.ts';
import type { Recall } from '../store/last-known.ts';
import { ReadCache } from '../store/read-cache.ts';
import type { CustomKeyStore, KeyStores, KeyStoreStore } from './key-store.ts';

const MAX_BYTES = 8 * 1024 * 1024;
/** The rough size of a store with its small members. */
const STORE_BYTES = 2_000;

/**
 * The custom key stores, with recent reads cached in memory: every use of a key in one checks whether it is connected.
 */
export class CachedKeyStores implements KeyStoreStore, ChangeListener {
  readonly #store: KeyStoreStore;
  readonly #changes: Changes;
  readonly #known: ReadCache<KeyStores>;

  constructor(store: KeyStoreStore, changes: Changes) {
    this.#store = store;
    this.#changes = changes;
    const weightOf = ({ stores }: KeyStores): number => STORE_BYTES * (1 + stores.length);
    this.#known = new ReadCache({ trust: changes, weightOf, maxWeight: MAX_BYTES });
    changes.listen(this);
  }

  changed(name: string): void {
    this.#known.invalidate(name);
  }

  forgetAll(): void {
    this.#known.clear();
  }

  find(scope: Scope, recall?: Recall): KeyStores | Promise<KeyStores> {
    const name = keyStoresName(scope);
    const read = async (): Promise<KeyStores> => this.#store.find(scope);
    const known = recall && this.#changes.servesLastKnown ? this.#known.lastKnown(name) : undefined;
    // A store that answers always returns its stores, possibly none.
    return (known ? recall!.readOr(known, read) : this.#known.get(name, read)) as KeyStores | Promise<KeyStores>;
  }

  replace(before: KeyStores, stores: readonly CustomKeyStore[]): Promise<void> {
    return this.#changing(before, this.#store.replace(before, stores));
  }

  remove(before: KeyStores, id: string): Promise<boolean> {
    return this.#changing(before, this.#store.remove(before, id));
  }

  claim(before: KeyStores, key: KeyInStore): Promise<boolean> {
    return this.#changing(before, this.#store.claim(before, key));
  }

  /** Invalidates after failures too: what was read may no longer be true. */
  async #changing<T>(scope: Scope, write: Promise<T>): Promise<T> {
    try {
      return await write;
    } finally {
      this.changed(keyStoresName(scope));
    }
  }
}
