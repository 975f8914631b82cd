import { setTimeout as delay } from 'node:timers/promises';
import { KmsException } from '@keyfleet/shared/errors/exceptions';
import type { GrantedKey } from '@keyfleet/shared/stored/grants';
import type { Scope } from '@keyfleet/shared/stored/names';
import type { CachedGrants } from '../grants/cached-grants.ts';
import type { Grant } from '../grants/grant.ts';
import type { FewGrants, GrantLookup } from '../grants/grant-store.ts';
import type { KmsKey } from '../keys/kms-key.ts';
import { aliasName, type Changes, keyName } from './change-feed.ts';
import type { ReadCache } from './read-cache.ts';
import { type Alias, type AliasStore, type KeyStore, StoreUnavailableError } from './store.ts';

/** How long a read may take before the last known value is used instead. A responsive Redis is always asked. */
const PATIENCE_MS = 50;

const late = Symbol('late');

/** Of a request that may be answered from the last known records: cryptography, while the store is away. */
export type Recall = Pick<LastKnown, 'readOr'> | undefined;

/**
 * Reads for one request while the change feed is interrupted: from the store if it answers, else the last known value.
 */
export class LastKnown implements Pick<KeyStore, 'findKey'>, Pick<AliasStore, 'findAlias'>, GrantLookup {
  readonly #keys: ReadCache<KmsKey>;
  readonly #aliases: ReadCache<Alias>;
  readonly #store: Pick<KeyStore, 'findKey'> & Pick<AliasStore, 'findAlias'>;
  readonly #grants: CachedGrants;
  readonly #changes: Pick<Changes, 'connected'>;
  #served = false;

  constructor(
    keys: ReadCache<KmsKey>,
    aliases: ReadCache<Alias>,
    store: Pick<KeyStore, 'findKey'> & Pick<AliasStore, 'findAlias'>,
    grants: CachedGrants,
    changes: Pick<Changes, 'connected'>,
  ) {
    this.#grants = grants;
    this.#changes = changes;
    this.#keys = keys;
    this.#aliases = aliases;
    this.#store = store;
  }

  /** Whether anything returned may be older than the stored value. */
  get served(): boolean {
    return this.#served;
  }

  findKey(region: string, keyId: string): Promise<KmsKey | undefined> {
    return this.#read(this.#keys, keyName(region, keyId), async () => this.#store.findKey(region, keyId));
  }

  findAlias(scope: Scope, name: string): Promise<Alias | undefined> {
    return this.#read(this.#aliases, aliasName(scope, name), async () => this.#store.findAlias(scope, name));
  }

  async grantsOf(key: GrantedKey, grantee: string): Promise<FewGrants> {
    const known = this.#grants.lastKnown(key, grantee);
    if (known === undefined) return this.#grants.grantsOf(key, grantee);
    return (await this.readOr(known, () => this.#grants.readGrantsOf(key, grantee))) ?? [];
  }

  candidates(...asked: Parameters<GrantLookup['candidates']>): AsyncIterable<readonly Grant[]> {
    return this.#grants.candidates(...asked);
  }

  /** A grant token stands for a new grant, so nothing was known of it. */
  find(key: GrantedKey, grantId: string): Promise<Grant | undefined> {
    return this.#grants.find(key, grantId);
  }

  async #read<T>(cache: ReadCache<T>, name: string, read: () => Promise<T | undefined>): Promise<T | undefined> {
    const known = cache.lastKnown(name);
    return known === undefined ? cache.get(name, read) : this.readOr(known, read);
  }

  /** From the store if it answers in time, else `known`, which counts as served. */
  async readOr<T>(known: T, read: () => Promise<T | undefined>): Promise<T | undefined> {
    const found = await readInTime(read, this.#changes);
    if (found !== late) return found;
    this.#served = true;
    return known;
  }
}

/**
 * The store's answer if it is prompt; `late` otherwise, or if the account may read no more now: while changes are not
 * heard, each request reads.
 */
async function readInTime<T>(
  read: () => Promise<T>,
  { connected }: Pick<Changes, 'connected'>,
): Promise<T | typeof late> {
  if (!connected) return late;
  try {
    const reading = read();
    // A caller that stopped waiting does not need the outcome.
    reading.catch(() => {});
    return await Promise.race([reading, delay(PATIENCE_MS, late)]);
  } catch (error) {
    const isThrottled = error instanceof KmsException && error.code === 'ThrottlingException';
    if (isThrottled || error instanceof StoreUnavailableError) return late;
    throw error;
  }
}
