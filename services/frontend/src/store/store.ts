import type { TrackedOperation } from '@keyfleet/shared/api/choices';
import type { DueKey } from '@keyfleet/shared/stored/due-entries';
import type { Scope } from '@keyfleet/shared/stored/names';
import type { z } from 'zod';
import type { KmsKey } from '../keys/kms-key.ts';

export interface Page<T> {
  readonly items: readonly T[];
  /** Where the next page begins; undefined on the last one. */
  readonly next?: string;
}

/** The revision that was read is no longer the newest: read again and decide again. */
export class ConflictError extends Error {
  override name = 'ConflictError';
}

/** What must be known of a key to find what names it. */
export interface KeyTraces extends Scope {
  readonly keyId: string;
  /** Unknown when only its id is left: its entry in the list then goes when somebody lists. */
  readonly createdAt?: number;
  readonly customKeyStoreId?: string | undefined;
  readonly xksKeyId?: string | undefined;
}

/** Every method that returns normally has made its change durable. */
export interface KeyStore {
  /**
   * Keys are found by Region and id: the id alone is unique, the account is checked by who resolves it. Not a promise
   * when it is cached.
   */
  findKey(region: string, keyId: string): KmsKey | Promise<KmsKey | undefined>;
  /** Throws ConflictError if a key of this id exists. */
  insertKey(key: KmsKey): Promise<void>;
  /**
   * Writes `key` with the next revision and returns it; throws ConflictError unless `key.revision` is the stored one.
   * `event`: what the caller will record of it until then; if he does not, others do.
   */
  updateKey(key: KmsKey, event?: ClaimedEvent): Promise<KmsKey>;
  /**
   * Destroys the record and its material, and keeps in its place what is to be recorded of that. Does nothing when it
   * is gone already. Throws ConflictError unless `key.revision` is the stored one.
   */
  deleteKey(key: KmsKey, event: StoredEvent): Promise<void>;
  /** They are recorded. */
  forgetEvents(key: KeyTraces, events: readonly (StoredEvent & Partial<ClaimedEvent>)[]): Promise<void>;
  /** Clears away what names a key whose record is gone: its aliases, and its entries in lists. */
  clearTraces(key: KeyTraces): Promise<void>;
  listKeys(scope: Scope, limit: number, after?: string): Promise<Page<string>>;
  /**
   * Of any state: exact near `quota`, else perhaps of a second ago. An entry without a key counts until somebody lists.
   */
  countKeys(scope: Scope, quota: number): Promise<number>;
}

/**
 * Which keys have something to be done to them by which time. An entry is only a hint to look at the key's record, and
 * is there before a record is stored that needs it; one without cause is removed by whoever finds it.
 */
export interface DueStore {
  /** `until`: milliseconds since the epoch. */
  listDue(shard: number, until: number, page: { limit: number; after?: string }): Promise<Page<DueKey>>;
  removeDue(due: DueKey): Promise<void>;
  /**
   * What was done to a key and is to be recorded, for whoever asks first, or again once his time is over; none when all
   * is recorded. Throws ConflictError while another one is at it.
   */
  claimEvents(key: Pick<KeyTraces, 'region' | 'keyId'>, claim: Claim): Promise<readonly StoredEvent[]>;
}

/** A record of the audit log that is stored with the change that it tells of, until it stands in the log. */
export interface StoredEvent {
  readonly id: string;
  readonly text: string;
}

export interface ClaimedEvent extends StoredEvent {
  /** Milliseconds since the epoch. */
  readonly until: number;
}

/** Milliseconds since the epoch. */
export interface Claim {
  readonly now: number;
  readonly until: number;
}

export interface Alias {
  /** With the `alias/` prefix. */
  readonly name: string;
  readonly targetKeyId: string;
  readonly createdAt: number;
  readonly updatedAt: number;
}

/**
 * `taken`: the name is in use; `full`: the target has as many aliases as `quota` allows; `missing`: there is no such
 * alias.
 */
export type AliasOutcome = 'done' | 'taken' | 'full' | 'missing';

export interface AliasMove {
  /** The key that the alias names until now. */
  readonly from: string;
  readonly quota: number;
}

export interface AliasStore {
  findAlias(scope: Scope, name: string): Alias | Promise<Alias | undefined>;
  /** Decided and written in one step, so that the quota holds whoever else writes. */
  insertAlias(scope: Scope, alias: Alias, quota: number): Promise<AliasOutcome>;
  /** Throws ConflictError unless the alias still names the key `from`. */
  updateAlias(scope: Scope, alias: Alias, move: AliasMove): Promise<AliasOutcome>;
  /** False when there is no such alias. Throws ConflictError unless it still names the key that it named. */
  deleteAlias(scope: Scope, alias: Pick<Alias, 'name' | 'targetKeyId'>): Promise<boolean>;
  listAliases(scope: Scope, limit: number, after?: string, targetKeyId?: string): Promise<Page<Alias>>;
}

/** An access key as stored: its secret only as the HSM sealed it. */
export interface AccessKeyRecord {
  readonly accessKeyId: string;
  readonly accountId: string;
  /** ARN of the user, role or root it belongs to. */
  readonly principal: string;
  readonly userId: string;
  readonly token: Uint8Array;
  /**
   * What the user may do whom an account begins with, until it has an IAM record of its own (first-user.ts); of others
   * nothing.
   */
  readonly policies: readonly string[];
}

export interface IdentityStore {
  findAccessKey(accessKeyId: string): Promise<AccessKeyRecord | undefined>;
  insertAccessKey(record: AccessKeyRecord): Promise<void>;
  /** With its last use. */
  deleteAccessKey(accessKeyId: string): Promise<void>;
  /** Its user is recorded now, and what the access key's record says of policies is to count no more. */
  forgetPolicies(accessKeyId: string): Promise<void>;
  /** Whether it ever had an access key. */
  hasAccount(accountId: string): Promise<boolean>;
  /** The access key that its account began with. */
  findFirstAccessKey(accountId: string): Promise<AccessKeyRecord | undefined>;
  /** Stores `record` as its account's first access key; false when it has one already, whoever was faster. */
  insertFirstAccessKey(record: AccessKeyRecord): Promise<boolean>;
}

/** The latest successful cryptographic use of a key. */
export interface LastUsage {
  readonly operation: z.output<typeof TrackedOperation>;
  /** Milliseconds since the epoch, by the clock of the frontend that served it. */
  readonly usedAt: number;
  readonly requestId: string;
  /** Of the audit record. */
  readonly eventId: string;
}

/** It lies with the key's record, and goes with it. A crash or a failover may lose what was kept last. */
export interface LastUsageStore {
  findLastUsage(region: string, keyId: string): Promise<LastUsage | undefined>;
  /** Does nothing if a later use is kept already, or the key is gone. */
  keepLastUsage(region: string, keyId: string, usage: LastUsage): Promise<void>;
}

/** The latest request that an access key signed, whatever became of it. */
export interface AccessKeyUse {
  /** Milliseconds since the epoch, by the clock of the frontend that served it. */
  readonly usedAt: number;
  /** As signatures name it: `kms`, `iam` or `sts`. */
  readonly service: string;
  readonly region: string;
}

/** It goes with the access key. A crash or a failover may lose what was kept last. */
export interface AccessKeyUseStore {
  findAccessKeyUse(accessKeyId: string): Promise<AccessKeyUse | undefined>;
  /** Does nothing if a later use is kept already, or the access key is gone. */
  keepAccessKeyUse(accessKeyId: string, use: AccessKeyUse): Promise<void>;
}

/** Secrets that the whole fleet shares, each only as the HSM sealed it. */
export interface FleetSecretStore {
  findSecret(name: string): Promise<Uint8Array | undefined>;
  /** Keeps the first one that is ever inserted, and returns what is stored. */
  insertSecret(name: string, token: Uint8Array): Promise<Uint8Array>;
}

/** Of each purpose one for each domain key, which its id names; each only as the HSM sealed it. */
export interface FleetKeyStore {
  findFleetKey(name: string, domainKeyId: string): Promise<Uint8Array | undefined>;
  /** Does nothing if there is one. */
  insertFleetKey(name: string, domainKeyId: string, token: Uint8Array): Promise<void>;
  /** Ids of domain keys. */
  listFleetKeys(name: string): Promise<readonly string[]>;
  dropFleetKey(name: string, domainKeyId: string): Promise<void>;
}

/** What the store could not do in time or could not reach; the answer may be that the change was made. */
export class StoreUnavailableError extends Error {
  override name = 'StoreUnavailableError';
}

/** A record that no release wrote like this: never guessed at. The message names the record and what to do. */
export class DamagedRecordError extends Error {
  override name = 'DamagedRecordError';
}
