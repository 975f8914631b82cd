import type { Page } from '../store/store.ts';
import type { IamKind, IamRecord, RecordOf } from './iam-records.ts';

/**
 * `taken`: the name is in use; `full`: the account has as many as `quota` allows; `missing`: something that it refers
 * to is not there.
 */
export type InsertOutcome = 'done' | 'taken' | 'full' | 'missing';

/** `taken`: the new name is in use. */
export type UpdateOutcome = 'done' | 'taken' | 'missing';

/**
 * Users, roles, groups and managed policies of accounts. What a record refers to is there as long as it does: both are
 * decided in one step. Every method that returns normally has made its change durable, and has told every frontend.
 */
export interface IamStore {
  find<K extends IamKind>(accountId: string, kind: K, name: string): Promise<RecordOf<K> | undefined>;
  insert(record: IamRecord, quota: number): Promise<InsertOutcome>;
  /**
   * Writes `record` with the next revision over `before`, as it was read, which may have had another name. Throws
   * ConflictError when somebody else was faster.
   */
  update(before: IamRecord, record: IamRecord): Promise<UpdateOutcome>;
  /** `linked`: others refer to it. Throws ConflictError when somebody else was faster. */
  remove(record: IamRecord): Promise<'done' | 'linked'>;
  list<K extends IamKind>(accountId: string, kind: K, limit: number, after?: string): Promise<Page<RecordOf<K>>>;
  /** How many an account has. */
  count(accountId: string, kind: IamKind): Promise<number>;
  /** Who refers to something: the rest of the links that begin with `prefix`, which are fields such as `user/alice`. */
  listLinks(accountId: string, prefix: string, limit: number, after?: string): Promise<Page<string>>;
}
