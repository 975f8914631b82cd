import type { TrackedOperation } from '@keyfleet/shared/api/choices';
import { DamagedValueError } from '@keyfleet/shared/redis/stored-values';
import type { DueKey } from '@keyfleet/shared/stored/due-entries';
import type { Scope } from '@keyfleet/shared/stored/names';
import type { z } from 'zod';
import type { KmsKey } from '../keys/kms-key.ts';

export interface Page<T> {
  readonly items: readonly T[];
  /** The marker of the next page; undefined on the last one. */
  readonly next?: string;
}

/** A page of items that are all in memory, ordered by name. */
export function pageOf<T>(
  items: readonly T[],
  { nameOf, limit, after }: { nameOf: (item: T) => string; limit: number; after: string },
): Page<T> {
  const rest = items.filter((item) => nameOf(item) > after).toSorted((a, b) => (nameOf(a) < nameOf(b) ? -1 : 1));
  const page = rest.slice(0, limit);
  const last = page.at(-1);
  return rest.length > limit && last !== undefined ? { items: page, next: nameOf(last) } : { items: page };
}

/** The revision that was read is no longer the newest: read and decide again. */
export class ConflictError extends Error {
  override name = 'ConflictError';
}

/** What is needed to find everything that names a key. */
export interface KeyTraces extends Scope {
  readonly keyId: string;
  /** Unknown if only the key's id is left; its list entry then goes when somebody lists. */
  readonly createdAt?: number;
  readonly customKeyStoreId?: string | undefined;
  readonly xksKeyId?: string | undefined;
}

/** When a method returns normally, its change is durable. */
export interface KeyStore {
  /** Finds a key by Region and id. The id alone is unique; the caller checks the account. Not a promise if cached. */
  findKey(region: string, keyId: string): KmsKey | Promise<KmsKey | undefined>;
  /** Throws ConflictError if a key with this id exists. */
  insertKey(key: KmsKey): Promise<void>;
  /**
   * Writes `key` with the next revision and returns it. Throws ConflictError unless `key.revision` is the stored one.
   * `event`: what the caller will record before the claim ends; otherwise others do.
   */
  updateKey(key: KmsKey, event?: ClaimedEvent): Promise<KmsKey>;
  /**
   * Destroys the record and its material, and keeps the event to be recorded in its place. Does nothing if the record
   * is already gone. Throws ConflictError unless `key.revision` is the stored one. `later`: kept with it, and due when
   * nobody claims it any more.
   */
  deleteKey(key: KmsKey, event: StoredEvent, later?: ClaimedEvent): Promise<void>;
  /** Call once they are recorded. */
  forgetEvents(key: KeyTraces, events: readonly (StoredEvent & Partial<ClaimedEvent>)[]): Promise<void>;
  /** Removes whatever names a key whose record is gone: its aliases and its list entries. */
  clearTraces(key: KeyTraces): Promise<void>;
  listKeys(scope: Scope, limit: number, after?: string): Promise<Page<string>>;
  /**
   * Counts keys in any state: exact near `quota`, else possibly from a second ago. An entry without a key counts until
   * somebody lists.
   */
  countKeys(scope: Scope, quota: number): Promise<number>;
}

/**
 * Which keys have work due by which time. An entry is only a hint to look at the key's record, and exists before any
 * record that needs it is stored. Whoever finds an entry without cause removes it.
 */
export interface DueStore {
  /** By the store's own clock, in milliseconds since the epoch. */
  now(): Promise<number>;
  /** `until`: milliseconds since the epoch. */
  listDue(shard: number, until: number, page: { limit: number; after?: string }): Promise<Page<DueKey>>;
  /** `shard`: where the entry was found, which is not that of its key if somebody put it there. */
  removeDue(shard: number, due: Pick<DueKey, 'entry'>): Promise<void>;
  /**
   * A key's events still to be recorded, given to whoever asks first, and again once that claim expires; none if all
   * are recorded. Throws ConflictError while another claim holds. What is not authentic is none.
   */
  claimEvents(key: Pick<KeyTraces, 'region' | 'keyId'>, claim: Claim): Promise<readonly StoredEvent[]>;
}

/** An audit record stored with the change it describes, until it is in the log. */
export interface StoredEvent {
  readonly id: string;
  readonly text: string;
}

export interface ClaimedEvent extends StoredEvent {
  /** Milliseconds since the epoch. */
  readonly until: number;
}

export interface Claim {
  /** Milliseconds since the epoch. */
  readonly now: number;
  readonly until: number;
  /** Told of each value among the events that no frontend wrote there. It stays. */
  readonly onDamaged?: (damage: Error) => void;
}

export interface Alias {
  /** With the `alias/` prefix. */
  readonly name: string;
  readonly targetKeyId: string;
  readonly createdAt: number;
  readonly updatedAt: number;
}

/**
 * `taken`: the name is in use; `full`: the target already has as many aliases as `quota` allows; `missing`: there is no
 * such alias.
 */
export type AliasOutcome = 'done' | 'taken' | 'full' | 'missing';

export interface AliasMove {
  /** The key that the alias has named until now. */
  readonly from: string;
  readonly quota: number;
}

export interface AliasPage extends Page<Alias> {
  /** It lacks some that are in the list, because they are none that a frontend wrote: nobody knows whose they are. */
  readonly isLacking?: boolean;
}

export interface AliasStore {
  findAlias(scope: Scope, name: string): Alias | Promise<Alias | undefined>;
  /** Checked and written in one step, so that the quota holds whoever else writes. */
  insertAlias(scope: Scope, alias: Alias, quota: number): Promise<AliasOutcome>;
  /** Throws ConflictError unless the alias still names `from`. */
  updateAlias(scope: Scope, alias: Alias, move: AliasMove): Promise<AliasOutcome>;
  /** False if there is no such alias. Throws ConflictError unless it still names this key. */
  deleteAlias(scope: Scope, alias: Pick<Alias, 'name' | 'targetKeyId'>): Promise<boolean>;
  listAliases(scope: Scope, limit: number, after?: string, targetKeyId?: string): Promise<AliasPage>;
}

/** An access key as stored: the secret only as sealed by the HSM. */
export interface AccessKeyRecord {
  readonly accessKeyId: string;
  readonly accountId: string;
  /** ARN of the user, role or root it belongs to. */
  readonly principal: string;
  readonly userId: string;
  readonly token: Uint8Array;
  /** The permissions of an account's first user until it has its own IAM record (first-user.ts); empty for others. */
  readonly policies: readonly string[];
}

export interface IdentityStore {
  findAccessKey(accessKeyId: string): Promise<AccessKeyRecord | undefined>;
  insertAccessKey(record: AccessKeyRecord): Promise<void>;
  /** Also deletes its last use. */
  deleteAccessKey(accessKeyId: string): Promise<void>;
  /** Its user now has an IAM record, so the policies in the access key's record no longer count. */
  forgetPolicies(accessKeyId: string): Promise<void>;
  /** Whether the account ever had an access key. */
  hasAccount(accountId: string): Promise<boolean>;
  /** The account's first access key. */
  findFirstAccessKey(accountId: string): Promise<AccessKeyRecord | undefined>;
  /** Stores `record` as its account's first access key; false if the account already has one, whoever was faster. */
  insertFirstAccessKey(record: AccessKeyRecord): Promise<boolean>;
}

/** The latest successful cryptographic use of a key. */
export interface LastUsage {
  readonly operation: z.output<typeof TrackedOperation>;
  /** Milliseconds since the epoch, by the clock of the frontend that served it. */
  readonly usedAt: number;
  readonly requestId: string;
  /** The audit record's event id. */
  readonly eventId: string;
}

export interface KeyUse extends Pick<KmsKey, 'region' | 'keyId'> {
  readonly usage: LastUsage;
}

/** Stored and deleted with the key's record. A crash or failover may lose the latest entries. */
export interface LastUsageStore {
  findLastUsage(region: string, keyId: string): Promise<LastUsage | undefined>;
  /** Passes over a use if a later one of its key is already stored or the key is gone. */
  keepLastUsages(uses: readonly KeyUse[]): Promise<void>;
}

/** The latest request that an access key signed, whatever its outcome. */
export interface AccessKeyUse {
  /** Milliseconds since the epoch, by the clock of the frontend that served it. */
  readonly usedAt: number;
  /** The service name in the signature: `kms`, `iam` or `sts`. */
  readonly service: string;
  readonly region: string;
}

/** Deleted with the access key. A crash or failover may lose the latest entries. */
export interface AccessKeyUseStore {
  findAccessKeyUse(accessKeyId: string): Promise<AccessKeyUse | undefined>;
  /** Does nothing if a later use is already stored or the access key is gone. */
  keepAccessKeyUse(accessKeyId: string, use: AccessKeyUse): Promise<void>;
}

/** Secrets shared by the whole fleet, each only as sealed by the HSM. */
export interface FleetSecretStore {
  findSecret(name: string): Promise<Uint8Array | undefined>;
  /** Keeps the first value ever inserted, and returns what is stored. */
  insertSecret(name: string, token: Uint8Array): Promise<Uint8Array>;
}

/** For each purpose, one key for each domain key, under that key's id; each only as sealed by the HSM. */
export interface FleetKeyStore {
  findFleetKey(name: string, domainKeyId: string): Promise<Uint8Array | undefined>;
  /** Does nothing if one exists. */
  insertFleetKey(name: string, domainKeyId: string, token: Uint8Array): Promise<void>;
  /** Of these domain keys, those for which there is one. */
  listFleetKeys(name: string, domainKeyIds: readonly string[]): Promise<readonly string[]>;
  /** With `token`: only while it is this one. */
  dropFleetKey(name: string, domainKeyId: string, token?: Uint8Array): Promise<void>;
}

/** The store could not be reached or did not answer in time; the change may have been made. */
export class StoreUnavailableError extends Error {
  override name = 'StoreUnavailableError';
}

/** A record that no release would write. It is never guessed at. The message names the record and what to do. */
export class DamagedRecordError extends DamagedValueError {
  override name = 'DamagedRecordError';
}
