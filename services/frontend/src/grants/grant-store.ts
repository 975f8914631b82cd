import type { GrantedKey } from '@keyfleet/shared/stored/grants';
import type { Page } from '../store/store.ts';
import type { GrantQuestion } from './constraints.ts';
import type { Grant } from './grant.ts';

/** The most grants that are read at once and examined one by one: parsing them delays others for a few milliseconds. */
export const FEW = 250;

export const tooMany = Symbol('too many');
export type FewGrants = readonly Grant[] | typeof tooMany;

/** `full`: the key already has as many as `quota` allows; `gone`: the key does not exist. */
export type InsertGrantOutcome = 'done' | 'full' | 'gone' | { readonly existing: string };

/** When a method returns normally, its change is durable and every frontend has been told. */
export interface GrantStore {
  /**
   * Returns the id of an existing grant if one has this name and everything that was asked for is the same. Decided in
   * one step.
   */
  insert(grant: Grant, quota: number): Promise<InsertGrantOutcome>;
  find(key: GrantedKey, grantId: string): Promise<Grant | undefined>;
  /** All grants of a principal on a key, unless there are more than a few. Not a promise if cached. */
  grantsOf(key: GrantedKey, grantee: string): FewGrants | Promise<FewGrants>;
  /**
   * Of a principal's grants on a key, however many, those that may allow something. All that do are included. A page
   * stands for a bounded amount of work, and may be empty.
   */
  candidates(key: GrantedKey, grantee: string, question: GrantQuestion): AsyncIterable<readonly Grant[]>;
  /** False if it was already gone. */
  remove(grant: Grant): Promise<boolean>;
  /** The grants on a key, or those of one grantee. */
  list(key: GrantedKey, grantee: string | undefined, limit: number, after?: string): Promise<Page<Grant>>;
  /**
   * The grants that a principal may retire, on any key in the Region. A page may be shorter than `limit` even if
   * another follows.
   */
  listRetirable(region: string, principal: string, limit: number, after?: string): Promise<Page<Grant>>;
  /** Removes all grants on a deleted key. It may be interrupted and repeated. */
  clear(key: GrantedKey): Promise<void>;
}

/** The grant lookups that a decision needs. `find` reads the store itself. */
export type GrantLookup = Pick<GrantStore, 'grantsOf' | 'candidates' | 'find'>;
