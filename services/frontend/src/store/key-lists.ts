import { BoundedCache } from '@keyfleet/shared/bounded-cache';
import { isCluster } from '@keyfleet/shared/redis/connect';
import { entryOf, keyIdOf, keyListAt, keyListsAt } from '@keyfleet/shared/stored/key-list';
import { keyAt, keysAt, type Scope } from '@keyfleet/shared/stored/names';
import type { Orphans } from './orphans.ts';
import type { RedisCalls } from './redis-calls.ts';
import type { Page } from './store.ts';

interface Listed extends Scope {
  readonly keyId: string;
  readonly createdAt: number;
}

interface Place {
  /** Which of the lists it is in. */
  readonly list: number;
  readonly entry: string;
}

const COUNTED_MS = 1_000;
const MARGIN = 100_000;
const MAX_COUNTED = 10_000;
/** Entries of a page: where one has no record, so many are looked for one by one. */
const CHECKED_AT_ONCE = 100;

/**
 * Lists of the keys of an account and Region, spread over several sorted sets that are read one after another. Each is
 * in the order of creation, so that a caller resuming after a page misses no key that existed before.
 */
export class KeyLists {
  readonly #redis: RedisCalls;
  readonly #orphans: Orphans;
  /** By account and Region. */
  readonly #counted = new BoundedCache<{ readonly at: number; readonly count: Promise<number> }>({
    maxWeight: MAX_COUNTED,
  });

  constructor(redis: RedisCalls, orphans: Orphans) {
    this.#redis = redis;
    this.#orphans = orphans;
  }

  async add(key: Listed): Promise<void> {
    await this.#redis.write('zadd', keyListAt(key, key.keyId), 0, entryOf(key));
  }

  /**
   * Exact near the quota. Far below it, the count from up to a second ago will do: nobody creates that many keys in a
   * second.
   */
  async count(scope: Scope, quota: number): Promise<number> {
    const name = `${scope.accountId}/${scope.region}`;
    const known = this.#counted.get(name);
    if (known && performance.now() - known.at < COUNTED_MS && (await known.count) < quota - MARGIN) return known.count;
    const counted = { at: performance.now(), count: this.#sum(scope) };
    this.#counted.set(name, counted);
    counted.count.catch(() => this.#counted.delete(name));
    return counted.count;
  }

  async #sum(scope: Scope): Promise<number> {
    const lists = keyListsAt(scope);
    const sizes = await Promise.all(lists.map((list) => this.#redis.about(list, (client) => client.zcard(list))));
    return sizes.reduce((sum, size) => sum + size, 0);
  }

  async remove(key: Listed): Promise<void> {
    const entry = entryOf(key);
    await Promise.all([keyListAt(key, key.keyId), keysAt(key)].map((list) => this.#redis.write('zrem', list, entry)));
  }

  async page(scope: Scope, limit: number, after?: string): Promise<Page<string>> {
    const found = await this.#find(scope, limit + 1, after === undefined ? { list: 0, entry: '' } : placeOf(after));
    const page = found.slice(0, limit);
    const chunks = Array.from({ length: Math.ceil(page.length / CHECKED_AT_ONCE) }, (_, i) =>
      page.slice(i * CHECKED_AT_ONCE, (i + 1) * CHECKED_AT_ONCE),
    );
    const there = await Promise.all(chunks.map((places) => this.#thoseThere(scope, places)));
    const items = there.flat().map(({ entry }) => keyIdOf(entry));
    const last = page.at(-1);
    return found.length > limit && last !== undefined ? { items, next: markerOf(last) } : { items };
  }

  /**
   * In a large account, the page is in the list where the previous one ended. In a small one it is spread over all
   * lists, so the rest are read at once.
   */
  async #find(scope: Scope, wanted: number, { list, entry }: Place): Promise<Place[]> {
    const lists = keyListsAt(scope).map((name, index) => ({ name, index }));
    const steps = [lists.slice(list, list + 1), lists.slice(list + 1, list + 2), lists.slice(list + 2)];
    const found: Place[] = [];
    for (const step of steps) {
      if (found.length >= wanted) break;
      const pages = await Promise.all(
        step.map(async ({ name, index }) => {
          const from = index === list && entry !== '' ? `(${entry}` : '-';
          const entries = await this.#redis.entries(name, { from, to: '+', limit: wanted - found.length });
          return entries.map((one) => ({ list: index, entry: one }));
        }),
      );
      found.push(...pages.flat());
    }
    return found.slice(0, wanted);
  }

  /** Nearly always all of them, which one command says: a thousand would take 20 ms of this process. */
  async #thoseThere(scope: Scope, places: readonly Place[]): Promise<readonly Place[]> {
    const names = places.map(({ entry }) => keyAt(scope.region, keyIdOf(entry)));
    // In a Redis Cluster they are in as many slots.
    const count = await this.#redis.read(async (client) => (isCluster(client) ? 0 : client.exists(...names)));
    if (count === names.length) return places;
    const there = await Promise.all(places.map((place) => this.#isThere(scope, place)));
    return places.filter((_, i) => there[i]);
  }

  /** Whether a list's entry has its record. Removes the entry if the record will never come. */
  async #isThere(scope: Scope, { list, entry }: Place): Promise<boolean> {
    const at = keyAt(scope.region, keyIdOf(entry));
    if ((await this.#redis.read((client) => client.exists(at))) === 1) return true;
    const name = keyListsAt(scope)[list]!;
    if (!this.#orphans.isLeft(name, entry)) return false;
    await this.#redis.write('zrem', name, entry);
    this.#orphans.forget(name, entry);
    return false;
  }
}

/** Earlier releases wrote markers for their only list. */
function placeOf(marker: string): Place {
  const [, list = '0', entry = ''] = /^(?:(\d+):)?(.*)$/.exec(marker) ?? [];
  return { list: Number(list), entry };
}

function markerOf({ list, entry }: Place): string {
  return `${list}:${entry}`;
}

const AT_ONCE = 250;

/**
 * Moves the contents of a first-release list into the present ones. It may be interrupted anywhere: an entry is always
 * in one of them.
 */
export async function splitOldKeyList(redis: RedisCalls, scope: Scope): Promise<void> {
  const old = keysAt(scope);
  for (;;) {
    const entries = await redis.entries(old, { from: '-', to: '+', limit: AT_ONCE });
    if (entries.length === 0) return;
    await Promise.all(entries.map((entry) => redis.write('zadd', keyListAt(scope, keyIdOf(entry)), 0, entry)));
    await redis.write('zrem', old, ...entries);
  }
}
