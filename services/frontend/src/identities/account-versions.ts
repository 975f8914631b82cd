import { accountOfIamChange, type ChangeListener } from '../store/change-feed.ts';

/** For recently changed accounts; about 10 MB. */
const MAX_VERSIONS = 100_000;

/**
 * A number for each account, another one after any change to its IAM records: what was read under an earlier one is
 * read again.
 */
export class AccountVersions implements ChangeListener {
  /** By account, for those that changed recently; `#oldVersion` applies to all others. */
  readonly #versions = new Map<string, number>();
  #oldVersion = 0;
  #newestVersion = 0;

  of(accountId: string): number {
    return this.#versions.get(accountId) ?? this.#oldVersion;
  }

  changed(name: string): void {
    const accountId = accountOfIamChange(name);
    if (accountId === undefined) return;
    if (this.#versions.size >= MAX_VERSIONS) this.#renewAll();
    this.#versions.set(accountId, ++this.#newestVersion);
  }

  /** Treats every account as changed. */
  #renewAll(): void {
    this.#versions.clear();
    this.#oldVersion = ++this.#newestVersion;
  }
}
