import {
  entriesOfKeyStore,
  entriesOfPlace,
  type KeyInStore,
  keyInStoreEntryOf,
} from '@keyfleet/shared/stored/key-store-keys';
import type { Scope } from '@keyfleet/shared/stored/names';
import { ConflictError } from '../store/store.ts';
import type { CustomKeyStore, KeyStores, KeyStoreStore } from './key-store.ts';

/** In memory: for tests. */
export class MemoryKeyStores implements KeyStoreStore {
  readonly #known = new Map<string, KeyStores>();
  readonly #entries = new Set<string>();
  readonly #isThere: (region: string, keyId: string) => Promise<boolean>;
  #writes = 0;

  constructor(isThere: (region: string, keyId: string) => Promise<boolean>) {
    this.#isThere = isThere;
  }

  async find({ accountId, region }: Scope): Promise<KeyStores> {
    return this.#known.get(`${accountId}/${region}`) ?? { accountId, region, stores: [], version: '', revision: 0 };
  }

  async replace(before: KeyStores, stores: readonly CustomKeyStore[]): Promise<void> {
    await this.#assertCurrent(before);
    this.#writes += 1;
    this.#known.set(`${before.accountId}/${before.region}`, {
      ...before,
      stores,
      version: String(this.#writes),
      revision: this.#writes,
    });
  }

  async remove(before: KeyStores, id: string): Promise<boolean> {
    await this.#assertCurrent(before);
    for (const entry of this.#entries) {
      if (entry.startsWith(entriesOfKeyStore(id)) && (await this.#isThere(before.region, entry.split('/')[2]!)))
        return false;
    }
    await this.replace(
      before,
      before.stores.filter((store) => store.id !== id),
    );
    return true;
  }

  async claim(before: KeyStores, key: KeyInStore): Promise<boolean> {
    await this.#assertCurrent(before);
    if ([...this.#entries].some((entry) => entry.startsWith(entriesOfPlace(key)))) return false;
    this.#entries.add(keyInStoreEntryOf(key));
    return true;
  }

  async #assertCurrent(before: KeyStores): Promise<void> {
    if ((await this.find(before)).version !== before.version)
      throw new ConflictError('the custom key stores have changed');
  }
}
