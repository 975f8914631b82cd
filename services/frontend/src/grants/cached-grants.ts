import type { GrantedKey } from '@keyfleet/shared/stored/grants';
import { type ChangeListener, type Changes, grantsName } from '../store/change-feed.ts';
import { ReadCache } from '../store/read-cache.ts';
import { SharedReads } from '../store/shared-reads.ts';
import type { Page } from '../store/store.ts';
import type { Grant } from './grant.ts';
import type { GrantQuestion } from './constraints.ts';
import { type FewGrants, type GrantStore, type InsertGrantOutcome, tooMany } from './grant-store.ts';

const MAX_BYTES = 64 * 1024 * 1024;
/** The rough size of a grant with its small members. */
const GRANT_BYTES = 1_000;

/** The grant store with recent reads cached in memory, by key and grantee. The absence of grants is cached too. */
export class CachedGrants implements GrantStore, ChangeListener {
  readonly #store: GrantStore;
  readonly #grants: ReadCache<FewGrants>;
  readonly #reading: SharedReads<FewGrants>;

  constructor(store: GrantStore, changes: Changes) {
    this.#store = store;
    this.#reading = new SharedReads(changes);
    this.#grants = new ReadCache({ trust: changes, weightOf, maxWeight: MAX_BYTES });
    changes.listen(this);
  }

  changed(name: string): void {
    this.#grants.invalidate(name);
    this.#reading.forget(name);
  }

  forgetAll(): void {
    this.#grants.clear();
    this.#reading.forgetAll();
  }

  grantsOf(key: GrantedKey, grantee: string): FewGrants | Promise<FewGrants> {
    // A store that answers never returns undefined.
    return this.#grants.get(grantsName(key, grantee), () => this.readGrantsOf(key, grantee)) as Promise<FewGrants>;
  }

  /** Reads the grants as stored now. Requests that wait for the same share a read: 250 grants take milliseconds. */
  readGrantsOf(key: GrantedKey, grantee: string): Promise<FewGrants> {
    return this.#reading.read(grantsName(key, grantee), async () => this.#store.grantsOf(key, grantee));
  }

  /** The grants when changes were last sure to be heard; undefined if unknown or too old. */
  lastKnown(key: GrantedKey, grantee: string): FewGrants | undefined {
    return this.#grants.lastKnown(grantsName(key, grantee));
  }

  /** Not cached. */
  candidates(key: GrantedKey, grantee: string, question: GrantQuestion): AsyncIterable<readonly Grant[]> {
    return this.#store.candidates(key, grantee, question);
  }

  find(key: GrantedKey, grantId: string): Promise<Grant | undefined> {
    return this.#store.find(key, grantId);
  }

  insert(grant: Grant, quota: number): Promise<InsertGrantOutcome> {
    return this.#changing(grant, this.#store.insert(grant, quota));
  }

  remove(grant: Grant): Promise<boolean> {
    return this.#changing(grant, this.#store.remove(grant));
  }

  list(key: GrantedKey, grantee: string | undefined, limit: number, after?: string): Promise<Page<Grant>> {
    return this.#store.list(key, grantee, limit, after);
  }

  listRetirable(region: string, principal: string, limit: number, after?: string): Promise<Page<Grant>> {
    return this.#store.listRetirable(region, principal, limit, after);
  }

  clear(key: GrantedKey): Promise<void> {
    return this.#store.clear(key);
  }

  /** Invalidates after failures too: the write may have happened although its answer was lost. */
  async #changing<T>(grant: Grant, write: Promise<T>): Promise<T> {
    try {
      return await write;
    } finally {
      this.changed(grantsName(grant, grant.grantee));
    }
  }
}

function weightOf(grants: FewGrants): number {
  if (grants === tooMany) return GRANT_BYTES;
  const pairs = grants.flatMap(({ constraints }) => [
    ...(constraints.encryptionContextEquals ?? []),
    ...(constraints.encryptionContextSubset ?? []),
  ]);
  const texts = pairs.reduce((sum, [name, value]) => sum + 2 * (name.length + value.length), 0);
  return GRANT_BYTES * (1 + grants.length) + texts;
}
