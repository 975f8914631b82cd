import type { Scope } from '@keyfleet/shared/stored/names';
import type { CachedGrants } from '../grants/cached-grants.ts';
import type { KmsKey } from '../keys/kms-key.ts';
import { aliasName, type ChangeListener, type Changes, keyName } from './change-feed.ts';
import { LastKnown } from './last-known.ts';
import { ReadCache } from './read-cache.ts';
import type {
  Alias,
  AliasMove,
  AliasOutcome,
  AliasPage,
  AliasStore,
  ClaimedEvent,
  KeyStore,
  KeyTraces,
  Page,
  StoredEvent,
} from './store.ts';

const MAX_ALIAS_BYTES = 8 * 1024 * 1024;
/** The rough size of an object with its small members. */
const OBJECT_BYTES = 1_000;

/** The stores, with recent reads cached in memory. This frontend never reads its own writes stale. */
export class CachedStore implements KeyStore, AliasStore, ChangeListener {
  readonly #store: KeyStore & AliasStore;
  readonly #changes: Changes;
  readonly #keys: ReadCache<KmsKey>;
  readonly #aliases: ReadCache<Alias>;
  readonly #grants: CachedGrants;

  /** `maxKeyBytes`: roughly how much memory key records may take. */
  constructor(
    store: KeyStore & AliasStore,
    changes: Changes,
    { maxKeyBytes, grants }: { maxKeyBytes: number; grants: CachedGrants },
  ) {
    this.#store = store;
    this.#grants = grants;
    this.#changes = changes;
    this.#keys = new ReadCache({ trust: changes, weightOf: weightOfKey, maxWeight: maxKeyBytes });
    this.#aliases = new ReadCache({ trust: changes, weightOf: () => OBJECT_BYTES, maxWeight: MAX_ALIAS_BYTES });
    changes.listen(this);
  }

  changed(name: string): void {
    this.#keys.invalidate(name);
    this.#aliases.invalidate(name);
  }

  forget({ region, keyId }: KmsKey): void {
    this.#keys.invalidate(keyName(region, keyId));
  }

  clear(): void {
    this.#keys.clear();
    this.#aliases.clear();
  }

  /** For cryptography while the change feed is interrupted; undefined otherwise. */
  lastKnown(): LastKnown | undefined {
    if (!this.#changes.servesLastKnown) return undefined;
    return new LastKnown(this.#keys, this.#aliases, this.#store, this.#grants, this.#changes);
  }

  findKey(region: string, keyId: string): KmsKey | Promise<KmsKey | undefined> {
    return this.#keys.get(keyName(region, keyId), async () => this.#store.findKey(region, keyId));
  }

  insertKey(key: KmsKey): Promise<void> {
    return this.#store.insertKey(key);
  }

  updateKey(key: KmsKey, event?: ClaimedEvent): Promise<KmsKey> {
    return this.#changing(keyName(key.region, key.keyId), this.#store.updateKey(key, event));
  }

  forgetEvents(key: KeyTraces, events: readonly StoredEvent[]): Promise<void> {
    return this.#store.forgetEvents(key, events);
  }

  deleteKey(key: KmsKey, event: StoredEvent, later?: ClaimedEvent): Promise<void> {
    return this.#changing(keyName(key.region, key.keyId), this.#store.deleteKey(key, event, later));
  }

  async clearTraces(key: KeyTraces): Promise<void> {
    try {
      await this.#store.clearTraces(key);
    } finally {
      this.#aliases.clear();
    }
  }

  listKeys(scope: Scope, limit: number, after?: string): Promise<Page<string>> {
    return this.#store.listKeys(scope, limit, after);
  }

  countKeys(scope: Scope, quota: number): Promise<number> {
    return this.#store.countKeys(scope, quota);
  }

  findAlias(scope: Scope, name: string): Alias | Promise<Alias | undefined> {
    return this.#aliases.get(aliasName(scope, name), async () => this.#store.findAlias(scope, name));
  }

  insertAlias(scope: Scope, alias: Alias, quota: number): Promise<AliasOutcome> {
    return this.#changing(aliasName(scope, alias.name), this.#store.insertAlias(scope, alias, quota));
  }

  updateAlias(scope: Scope, alias: Alias, move: AliasMove): Promise<AliasOutcome> {
    return this.#changing(aliasName(scope, alias.name), this.#store.updateAlias(scope, alias, move));
  }

  deleteAlias(scope: Scope, alias: Alias): Promise<boolean> {
    return this.#changing(aliasName(scope, alias.name), this.#store.deleteAlias(scope, alias));
  }

  listAliases(scope: Scope, limit: number, after?: string, targetKeyId?: string): Promise<AliasPage> {
    return this.#store.listAliases(scope, limit, after, targetKeyId);
  }

  /** Invalidates after failures too: the write may have happened although its answer was lost. */
  async #changing<T>(name: string, write: Promise<T>): Promise<T> {
    try {
      return await write;
    } finally {
      this.changed(name);
    }
  }
}

/** Of a pair of texts, beside their characters. */
const PAIR_BYTES = 100;

function weightOfKey({ policy, policyPrincipals = {}, description, tags, backingKeys }: KmsKey): number {
  const material = backingKeys.reduce(
    (sum, { token, publicKey }) => sum + (token?.length ?? 0) + (publicKey?.length ?? 0),
    0,
  );
  const pairs = [...tags.map(({ TagKey, TagValue }) => [TagKey, TagValue]), ...Object.entries(policyPrincipals)];
  const characters = pairs.reduce((sum, [one, other]) => sum + one!.length + other!.length, 0);
  const texts = policy.length + description.length + characters;
  return OBJECT_BYTES * (1 + backingKeys.length) + PAIR_BYTES * pairs.length + 2 * texts + material;
}
