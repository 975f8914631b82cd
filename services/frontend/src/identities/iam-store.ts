import type { Page } from '../store/store.ts';
import type { IamKind, IamRecord, RecordOf } from './iam-records.ts';

/**
 * `taken`: the name is in use; `full`: the account already has as many as `quota` allows; `missing`: something that it
 * refers to does not exist.
 */
export type InsertOutcome = 'done' | 'taken' | 'full' | 'missing';

/** `taken`: the new name is in use. */
export type UpdateOutcome = 'done' | 'taken' | 'missing';

/** A record as read, which may have had another name, and as it shall be. */
export interface IamChange {
  readonly before: IamRecord;
  readonly record: IamRecord;
}

/**
 * The users, roles, groups and managed policies of accounts. Whatever a record refers to exists as long as the record
 * does: both are checked in one step. When a method returns normally, its change is durable and every frontend has been
 * told.
 */
export interface IamStore {
  find<K extends IamKind>(accountId: string, kind: K, name: string): Promise<RecordOf<K> | undefined>;
  insert(record: IamRecord, quota: number): Promise<InsertOutcome>;
  /**
   * Writes records of one account with their next revisions, all in one step or none. A record that gets another name
   * must come with all that refer to it. Throws ConflictError if somebody else was faster.
   */
  update(...changes: readonly IamChange[]): Promise<UpdateOutcome>;
  /** `linked`: other records refer to it. Throws ConflictError if somebody else was faster. */
  remove(record: IamRecord): Promise<'done' | 'linked'>;
  /** A page may end before its limit, so that it takes little memory however large the records are. */
  list<K extends IamKind>(accountId: string, kind: K, limit: number, after?: string): Promise<Page<RecordOf<K>>>;
  /** The number of such records in an account. */
  count(accountId: string, kind: IamKind): Promise<number>;
  /**
   * Lists the records that refer to something: the rest of each link that begins with `prefix`. The rests are fields
   * such as `user/alice`.
   */
  listLinks(accountId: string, prefix: string, limit: number, after?: string): Promise<Page<string>>;
  /** The number of such links. */
  countLinks(accountId: string, prefix: string): Promise<number>;
  /** The records that refer to something, as `listLinks`; a page may end before its limit, as of `list`. */
  listLinked(accountId: string, prefix: string, limit: number, after?: string): Promise<Page<IamRecord>>;
}

/**
 * Lends the store to what reads on behalf of an account, which is charged what it reads, whosever it is. Throws
 * ThrottlingException before that begins if the account has read too much. Must not be called within itself.
 */
export type ChargedIam = <T>(accountId: string, use: (iam: IamStore) => Promise<T>) => Promise<T>;
