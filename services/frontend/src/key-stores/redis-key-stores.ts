import type { Clock } from '@keyfleet/shared/clock';
import {
  entriesOfKeyStore,
  entriesOfPlace,
  keyIdOfEntry,
  type KeyInStore,
  keyInStoreEntryOf,
} from '@keyfleet/shared/stored/key-store-keys';
import { CHANGES, keyAt, keyStoresAt, type Scope } from '@keyfleet/shared/stored/names';
import { Acknowledged } from '../store/acknowledged.ts';
import { keyStoresName } from '../store/change-feed.ts';
import { Orphans } from '../store/orphans.ts';
import type { RecordMacs } from '../store/record-macs.ts';
import type { RedisCalls } from '../store/redis-calls.ts';
import { ConflictError } from '../store/store.ts';
import type { CustomKeyStore, KeyStores, KeyStoreStore } from './key-store.ts';
import { decodeKeyStores, encodeKeyStores, keyStoresPlace } from './records.ts';

export interface RedisKeyStoresDeps {
  readonly calls: RedisCalls;
  readonly macs: RecordMacs;
  /** For measuring durations. */
  readonly monotonicClock: Clock;
  /** Shared with a frontend's other stores. */
  readonly acknowledged?: Acknowledged;
}

/** Custom key stores in Redis: one record for an account's Region, next to a list of the keys in them. */
export class RedisKeyStores implements KeyStoreStore {
  readonly #redis: RedisCalls;
  readonly #macs: RecordMacs;
  readonly #acknowledged: Acknowledged;
  readonly #orphans: Orphans;

  constructor({ calls, macs, monotonicClock, acknowledged = new Acknowledged() }: RedisKeyStoresDeps) {
    this.#redis = calls;
    this.#macs = macs;
    this.#acknowledged = acknowledged;
    this.#orphans = new Orphans(monotonicClock);
  }

  async find({ accountId, region }: Scope): Promise<KeyStores> {
    const scope = { accountId, region };
    const place = keyStoresPlace(scope);
    const assertNotOlder = this.#acknowledged.beginRead();
    const version = await this.#redis.text(place.name);
    if (version === undefined) return { ...scope, stores: [], version: '', revision: 0 };
    const { stores, revision } = decodeKeyStores(await this.#macs.verified(place, version), scope);
    assertNotOlder(keyStoresName(scope), revision);
    return { ...scope, stores, version, revision };
  }

  async replace(before: KeyStores, stores: readonly CustomKeyStore[]): Promise<void> {
    await this.#replace(before, stores, '');
  }

  async remove(before: KeyStores, id: string): Promise<boolean> {
    const left = before.stores.filter((store) => store.id !== id);
    const emptied = entriesOfKeyStore(id);
    if (await this.#replace(before, left, emptied)) return true;
    const clearedAway = await this.#clearLeft(before, emptied);
    return clearedAway && this.#replace(before, left, emptied);
  }

  async claim(before: KeyStores, key: KeyInStore): Promise<boolean> {
    const names = keyStoresAt(before);
    const parts = [before.version, entriesOfPlace(key), keyInStoreEntryOf(key)] as const;
    const claim = async (): Promise<boolean> => {
      const outcome = await this.#redis.script('kfClaimKeyPlace', ...names, ...parts);
      if (outcome === 'changed') throw changed(before);
      return outcome === 'done';
    };
    return (await claim()) || ((await this.#clearLeft(before, entriesOfPlace(key))) && claim());
  }

  /** `emptied`: a prefix that no entry may have, or ''. False if some entry does. */
  async #replace(before: KeyStores, stores: readonly CustomKeyStore[], emptied: string): Promise<boolean> {
    const names = keyStoresAt(before);
    const revision = before.revision + 1;
    const text = await this.#macs.withMac(keyStoresPlace(before), encodeKeyStores(before, stores, revision));
    const parts = [before.version, text, emptied, CHANGES, keyStoresName(before)] as const;
    const outcome = await this.#redis.script('kfReplaceKeyStores', ...names, ...parts);
    if (outcome === 'changed') throw changed(before);
    if (outcome === 'done') this.#acknowledged.written(keyStoresName(before), revision);
    return outcome === 'done';
  }

  /** Removes entries of keys that do not exist and never will; false if other entries remain. */
  async #clearLeft(scope: Scope, prefix: string): Promise<boolean> {
    const [, list] = keyStoresAt(scope);
    const range = { from: `[${prefix}`, to: `(${afterAll(prefix)}`, limit: 100 };
    const entries = await this.#redis.entries(list, range);
    for (const entry of entries) {
      const key = keyAt(scope.region, keyIdOfEntry(entry));
      const exists = await this.#redis.read((client) => client.exists(key));
      if (exists === 1 || !this.#orphans.isLeft(list, entry)) return false;
      await this.#redis.write('zrem', list, entry);
      this.#orphans.forget(list, entry);
    }
    return entries.length > 0;
  }
}

/** '0' is the character after the slash that ends a prefix. */
function afterAll(prefix: string): string {
  return `${prefix.slice(0, -1)}0`;
}

function changed({ accountId, region }: KeyStores): ConflictError {
  return new ConflictError(`the custom key stores of ${accountId} in ${region} have changed`);
}
