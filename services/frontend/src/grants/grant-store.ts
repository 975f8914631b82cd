import type { GrantedKey } from '@keyfleet/shared/stored/grants';
import type { Page } from '../store/store.ts';
import type { GrantQuestion } from './constraints.ts';
import type { Grant } from './grant.ts';

/** So many are read at once and looked at one by one: parsing them holds up others for some milliseconds. */
export const FEW = 250;

export const tooMany = Symbol('too many');
export type FewGrants = readonly Grant[] | typeof tooMany;

/** `full`: the key has as many as `quota` allows; `gone`: the key is not there. */
export type InsertGrantOutcome = 'done' | 'full' | 'gone' | { readonly existing: string };

/** Every method that returns normally has made its change durable, and has told every frontend. */
export interface GrantStore {
  /**
   * Or answers the id of the grant that is there already with this name and is alike in all that was asked for. Decided
   * in one step.
   */
  insert(grant: Grant, quota: number): Promise<InsertGrantOutcome>;
  find(key: GrantedKey, grantId: string): Promise<Grant | undefined>;
  /** All grants of a principal on a key, unless they are more than a few. Not a promise when they are cached. */
  grantsOf(key: GrantedKey, grantee: string): FewGrants | Promise<FewGrants>;
  /** Of however many grants of a principal on a key, those that may allow something: all that do are among them. */
  candidates(key: GrantedKey, grantee: string, question: GrantQuestion): AsyncIterable<readonly Grant[]>;
  /** False when it was gone already. */
  remove(grant: Grant): Promise<boolean>;
  /** Of a key, or of one of its grantees. */
  list(key: GrantedKey, grantee: string | undefined, limit: number, after?: string): Promise<Page<Grant>>;
  /**
   * What a principal may retire, of any key of the Region. A page may be shorter than `limit` although another follows.
   */
  listRetirable(region: string, principal: string, limit: number, after?: string): Promise<Page<Grant>>;
  /** Takes away what is granted of a key that is deleted; may be cut off and repeated. */
  clear(key: GrantedKey): Promise<void>;
}

/** Grants as a decision needs them. `find` asks the store itself. */
export type GrantLookup = Pick<GrantStore, 'grantsOf' | 'candidates' | 'find'>;
