import {
  ALL_GRANTS,
  entriesOfGrantee,
  type GrantedKey,
  grantIndexOf,
  grantOfRetirableEntry,
  grantsAt,
  ListedGrant,
  namedEntriesOf,
  permissionEntriesOf,
  retirableAt,
  retirableEntryOf,
} from '@keyfleet/shared/stored/grants';
import { permittedTo } from '@keyfleet/shared/stored/grant-permissions';
import { type DamagedValueError, unlessDamaged } from '@keyfleet/shared/redis/stored-values';
import { CHANGES, keyAt } from '@keyfleet/shared/stored/names';
import { Acknowledged } from '../store/acknowledged.ts';
import { grantName, grantsName } from '../store/change-feed.ts';
import type { Clock } from '@keyfleet/shared/clock';
import { Orphans } from '../store/orphans.ts';
import type { RecordMacs } from '../store/record-macs.ts';
import { grantPlace } from '../store/record-places.ts';
import type { RedisCalls } from '../store/redis-calls.ts';
import type { Page } from '../store/store.ts';
import type { Grant } from './grant.ts';
import { type GrantQuestion, permissionsFor } from './constraints.ts';
import { FEW, type FewGrants, type GrantStore, type InsertGrantOutcome, tooMany } from './grant-store.ts';
import { decodeGrant, encodeGrant } from './grant-records.ts';

export interface GrantStoreEvents {
  /** What Redis has is none that a frontend wrote. */
  grantPassedOver(damage: Error): void;
}

export interface RedisGrantStoreDeps {
  readonly calls: RedisCalls;
  readonly macs: RecordMacs;
  /** For measuring durations. */
  readonly monotonicClock: Clock;
  /** Shared with a frontend's other stores. */
  readonly acknowledged?: Acknowledged;
  readonly events?: GrantStoreEvents;
}

/** The work behind one page of candidates: some ten times that of a usual request, for Redis and for this process. */
const FORMS_AT_ONCE = 16;
const CANDIDATES_AT_ONCE = 25;

/**
 * Grants in Redis: a hash of records for each key, an index of them, and for each principal a list of the grants that
 * it may retire.
 */
export class RedisGrantStore implements GrantStore {
  readonly #redis: RedisCalls;
  readonly #macs: RecordMacs;
  readonly #acknowledged: Acknowledged;
  readonly #orphans: Orphans;
  readonly #events: GrantStoreEvents | undefined;

  constructor(deps: RedisGrantStoreDeps) {
    const { calls, macs, monotonicClock, acknowledged = new Acknowledged(), events } = deps;
    this.#redis = calls;
    this.#macs = macs;
    this.#acknowledged = acknowledged;
    this.#orphans = new Orphans(monotonicClock);
    this.#events = events;
  }

  async insert(grant: Grant, quota: number): Promise<InsertGrantOutcome> {
    const json = encodeGrant(grant);
    const listed = listedOf(grant);
    const named = namedEntriesOf(listed) ?? '';
    // Written before the record: listing skips a surplus entry, but a missing one would never be noticed.
    await this.#addRetirable(grant);
    const outcome = await this.#redis.script(
      'kfInsertGrant',
      keyAt(grant.region, grant.keyId),
      ...grantsAt(grant),
      grant.grantId,
      await this.#macs.withMac(grantPlace(grant, grant.grantId), json),
      quota,
      named,
      CHANGES,
      grantsName(grant, grant.grantee),
      JSON.stringify(grantIndexOf(listed)),
    );
    if (outcome === 'done') return outcome;
    if (outcome === 'again') return this.insert(grant, quota);
    await this.#removeRetirable(grant);
    if (outcome === 'full' || outcome === 'gone') return outcome;
    const existing = String(outcome);
    if (await this.#isNamed(grant, existing, named)) return { existing };
    // The index has no MAC.
    await this.#redis.write('zrem', grantsAt(grant)[1], named + existing);
    return this.insert(grant, quota);
  }

  /** Whether there is such a grant, and it is the one that is asked for. */
  async #isNamed(key: GrantedKey, grantId: string, named: string): Promise<boolean> {
    const found = await this.find(key, grantId).catch(this.#passOver);
    return found !== undefined && namedEntriesOf(listedOf(found)) === named;
  }

  async find(key: GrantedKey, grantId: string): Promise<Grant | undefined> {
    const [grants] = grantsAt(key);
    const assertNotGone = this.#acknowledged.beginRead();
    const text = await this.#redis.field(grants, grantId);
    if (text === undefined) return undefined;
    assertNotGone(grantName({ ...key, grantId }), 1);
    return this.#read(text, key, grantId);
  }

  async #read(stored: string | DamagedValueError, key: GrantedKey, grantId: string): Promise<Grant> {
    return decodeGrant(await this.#macs.verified(grantPlace(key, grantId), stored), key, grantId);
  }

  async grantsOf(key: GrantedKey, grantee: string): Promise<FewGrants> {
    const { items, next } = await this.list(key, grantee, FEW);
    return next === undefined ? items : tooMany;
  }

  async *candidates(key: GrantedKey, grantee: string, question: GrantQuestion): AsyncGenerator<readonly Grant[]> {
    if (!(await this.#hasPermissions(key, grantee))) return yield* this.#withPermissions(key, grantee);
    const { to, ofForm } = permissionsFor(grantee, question);
    for await (const forms of this.#formsOf(key, to)) {
      yield* this.#withAny(
        key,
        forms.flatMap((form) => ofForm(form) ?? []),
      );
      // To look at forms is work, too, if no grant has one that the request can have.
      yield [];
    }
  }

  /** The forms of the permissions that begin with `to`: few, however many permissions there are. */
  async *#formsOf(key: GrantedKey, to: string): AsyncGenerator<readonly string[]> {
    const [, index] = grantsAt(key);
    let [after, goesOn]: [string, number] = ['', 1];
    while (goesOn === 1) {
      const found = await this.#redis.scriptUndurably('kfGrantForms', index, to, after, FORMS_AT_ONCE);
      const [more, ...forms] = found as [number, ...string[]];
      yield forms;
      [after, goesOn] = [forms.at(-1) ?? after, more];
    }
  }

  /** The grants whose entries begin with one of the prefixes. Most prefixes have one grant or none. */
  async *#withAny(key: GrantedKey, prefixes: readonly string[]): AsyncGenerator<readonly Grant[]> {
    const firsts = await Promise.all(prefixes.map((prefix) => this.#idsWith(key, prefix, CANDIDATES_AT_ONCE)));
    const ids = firsts.flatMap((page) => page.items);
    for (let from = 0; from < ids.length; from += CANDIDATES_AT_ONCE)
      yield this.#all(key, ids.slice(from, from + CANDIDATES_AT_ONCE));
    for (const [i, { next }] of firsts.entries())
      if (next !== undefined) yield* this.#pages(key, prefixes[i]!, CANDIDATES_AT_ONCE, next);
  }

  async *#pages(key: GrantedKey, prefix: string, limit: number, from?: string): AsyncGenerator<readonly Grant[]> {
    let after = from;
    do {
      const { items, next } = await this.#page(key, prefix, limit, after);
      yield items;
      after = next;
    } while (after !== undefined);
  }

  /** Whether all of a principal's grants can be found by what they allow. */
  async #hasPermissions(key: GrantedKey, grantee: string): Promise<boolean> {
    const [, index] = grantsAt(key);
    const counts = [permittedTo(grantee), entriesOfGrantee(grantee)].map((prefix) =>
      this.#redis.about(index, (client) => client.zlexcount(index, ...rangeOf(prefix))),
    );
    const [found = 0, all = 0] = await Promise.all(counts);
    return found >= all;
  }

  /** All of a principal's grants. Those from older releases can be found by what they allow from now on. */
  async *#withPermissions(key: GrantedKey, grantee: string): AsyncGenerator<readonly Grant[]> {
    for await (const page of this.#pages(key, entriesOfGrantee(grantee), FEW)) {
      yield page;
      const entries = page.map((grant) => [grant.grantId, ...permissionEntriesOf(listedOf(grant))]);
      await this.#redis.scriptUndurably('kfAddGrantEntries', ...grantsAt(key), JSON.stringify(entries));
    }
  }

  async remove(grant: Grant): Promise<boolean> {
    const entries = grantIndexOf(listedOf(grant));
    const change = [CHANGES, grantsName(grant, grant.grantee)] as const;
    const parts = [grant.grantId, ...change, JSON.stringify(entries)] as const;
    const removed = await this.#redis.script('kfRemoveGrant', ...grantsAt(grant), ...parts);
    this.#acknowledged.removed(grantName(grant));
    await this.#removeRetirable(grant);
    return removed === 1;
  }

  async list(key: GrantedKey, grantee: string | undefined, limit: number, after?: string): Promise<Page<Grant>> {
    return this.#page(key, grantee === undefined ? ALL_GRANTS : entriesOfGrantee(grantee), limit, after);
  }

  async #page(key: GrantedKey, prefix: string, limit: number, after?: string): Promise<Page<Grant>> {
    const { items: ids, next } = await this.#idsWith(key, prefix, limit, after);
    const items = await this.#all(key, ids);
    return next === undefined ? { items } : { items, next };
  }

  /** The ids of the grants whose entries begin with `prefix`. */
  async #idsWith(key: GrantedKey, prefix: string, limit: number, after?: string): Promise<Page<string>> {
    const [, index] = grantsAt(key);
    const [from, to] = rangeOf(prefix, after);
    const entries = await this.#redis.entries(index, { from, to, limit: limit + 1 });
    const ids = entries.slice(0, limit).map((entry) => entry.slice(prefix.length));
    return pageUntil(ids, ids.at(-1), entries.length > limit);
  }

  /**
   * The grants with these ids. Those revoked meanwhile are left out, and what is not authentic: it allows nothing and
   * hides none of the others.
   */
  async #all(key: GrantedKey, ids: readonly string[]): Promise<readonly Grant[]> {
    const [grants] = grantsAt(key);
    const assertNotGone = this.#acknowledged.beginRead();
    const texts = ids.length === 0 ? [] : await this.#redis.eachField(grants, ids);
    const read = async (grantId: string, text: string | DamagedValueError): Promise<Grant> => {
      const grant = await this.#read(text, key, grantId);
      assertNotGone(grantName(grant), 1);
      return grant;
    };
    const all = ids.flatMap((id, i) => (texts[i] ? [read(id, texts[i]).catch(this.#passOver)] : []));
    return (await Promise.all(all)).filter((grant) => grant !== undefined);
  }

  async listRetirable(region: string, principal: string, limit: number, after?: string): Promise<Page<Grant>> {
    const list = retirableAt(region, principal);
    const from = after === undefined ? '-' : `(${after}`;
    const found = await this.#redis.entries(list, { from, to: '+', limit: limit + 1 });
    const entries = found.slice(0, limit);
    const grants = await Promise.all(
      entries.map((entry) => this.#findListed(list, region, entry).catch(this.#passOver)),
    );
    const items = grants.filter((grant) => grant !== undefined);
    return pageUntil(items, entries.at(-1), found.length > limit);
  }

  async clear(key: GrantedKey): Promise<void> {
    const [grants, index] = grantsAt(key);
    let after: string | undefined;
    do {
      const { items, next } = await this.list(key, undefined, FEW, after);
      // One by one, so that every frontend forgets each: a replica of this key may be made again.
      await Promise.all(items.map((grant) => this.remove(grant)));
      after = next;
    } while (after !== undefined);
    // What is left are entries without a grant.
    await this.#redis.write('unlink', index);
    await this.#redis.write('unlink', grants);
  }

  readonly #passOver = (error: unknown): undefined =>
    unlessDamaged(error, (damage) => this.#events?.grantPassedOver(damage));

  /** Removes an entry whose grant does not exist and never will. */
  async #findListed(list: string, region: string, entry: string): Promise<Grant | undefined> {
    const { keyId, grantId } = grantOfRetirableEntry(entry);
    const grant = await this.find({ region, keyId }, grantId);
    if (grant !== undefined || !this.#orphans.isLeft(list, entry)) return grant;
    await this.#redis.write('zrem', list, entry);
    this.#orphans.forget(list, entry);
    return undefined;
  }

  async #addRetirable(grant: Grant): Promise<void> {
    if (grant.retiring === undefined) return;
    await this.#redis.write('zadd', retirableAt(grant.region, grant.retiring), 0, retirableEntryOf(grant));
  }

  async #removeRetirable(grant: Grant): Promise<void> {
    if (grant.retiring === undefined) return;
    await this.#redis.write('zrem', retirableAt(grant.region, grant.retiring), retirableEntryOf(grant));
  }
}

/** The range of entries that begin with a prefix, as ZRANGE takes it. */
function rangeOf(prefix: string, after?: string): readonly [string, string] {
  // '!' is the character after the space that ends a prefix.
  return [after === undefined ? `[${prefix}` : `(${prefix}${after}`, `(${prefix.slice(0, -1)}!`];
}

function listedOf(grant: Grant): ListedGrant {
  return ListedGrant.parse(JSON.parse(encodeGrant(grant)));
}

function pageUntil<T>(items: readonly T[], last: string | undefined, goesOn: boolean): Page<T> {
  return goesOn && last !== undefined ? { items, next: last } : { items };
}
