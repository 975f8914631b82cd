import { type Clock, monotonicClock as ofThisProcess } from '@keyfleet/shared/clock';
import { type PageOfFields, unlessDamaged } from '@keyfleet/shared/redis/stored-values';
import { type DueKey, dueKeyOf, endOf } from '@keyfleet/shared/stored/due-entries';
import { aliasesAt, CHANGES, eventsAt, dueAt, keyAt, keyStoresAt, type Scope } from '@keyfleet/shared/stored/names';
import { keyInStoreEntryOf } from '@keyfleet/shared/stored/key-store-keys';
import type { KmsKey } from '../keys/kms-key.ts';
import { Acknowledged } from './acknowledged.ts';
import { aliasName, keyName } from './change-feed.ts';
import { decodeKey, encodeKey } from './key-record.ts';
import { KeyLists } from './key-lists.ts';
import { Orphans } from './orphans.ts';
import { type AuthenticRecord, storedText } from './record-mac.ts';
import type { RecordMacs } from './record-macs.ts';
import { eventPlace, keyPlace, lastUsagePlace } from './record-places.ts';
import { RecordWrites } from './record-writes.ts';
import { decodeLastUsage, encodeLastUsage } from './records.ts';
import { RedisAccessKeys } from './redis-access-keys.ts';
import { type AliasStoreEvents, RedisAliases } from './redis-aliases.ts';
import type { RedisCalls } from './redis-calls.ts';
import {
  type AccessKeyRecord,
  type AccessKeyUse,
  type AccessKeyUseStore,
  type Alias,
  type AliasMove,
  type AliasOutcome,
  type AliasPage,
  type AliasStore,
  type Claim,
  type ClaimedEvent,
  ConflictError,
  DamagedRecordError,
  type DueStore,
  type IdentityStore,
  type KeyStore,
  type KeyTraces,
  type KeyUse,
  type LastUsage,
  type LastUsageStore,
  type Page,
  type StoredEvent,
} from './store.ts';

export interface RedisStoreDeps {
  readonly calls: RedisCalls;
  readonly macs: RecordMacs;
  readonly clock: Clock;
  /** Shared with a frontend's other stores. */
  readonly acknowledged?: Acknowledged;
  /** For measuring durations. */
  readonly monotonicClock?: Clock;
  readonly events?: AliasStoreEvents | undefined;
}

/** Of what somebody may have put there by millions: what one step of Redis, or one page, has. */
const AT_ONCE = 250;

type Named = Pick<KeyTraces, 'region' | 'keyId'>;

/**
 * The system of record. Everything about one key is stored under one hash tag, and so is everything about one account's
 * aliases.
 */
export class RedisStore implements KeyStore, AliasStore, IdentityStore, LastUsageStore, AccessKeyUseStore, DueStore {
  readonly #redis: RedisCalls;
  readonly #macs: RecordMacs;
  readonly #records: RecordWrites;
  readonly #lists: KeyLists;
  readonly #acknowledged: Acknowledged;
  readonly #aliases: RedisAliases;
  readonly #accessKeys: RedisAccessKeys;

  constructor({
    calls,
    macs,
    clock,
    monotonicClock = ofThisProcess,
    acknowledged = new Acknowledged(),
    events,
  }: RedisStoreDeps) {
    this.#redis = calls;
    this.#macs = macs;
    this.#acknowledged = acknowledged;
    this.#aliases = new RedisAliases({ calls, macs, clock, acknowledged, events });
    this.#accessKeys = new RedisAccessKeys({ calls, macs, acknowledged });
    this.#records = new RecordWrites(this.#redis, clock);
    this.#lists = new KeyLists(this.#redis, new Orphans(monotonicClock));
  }

  async findKey(region: string, keyId: string): Promise<KmsKey | undefined> {
    const assertNotOlder = this.#acknowledged.beginRead();
    const place = keyPlace(region, keyId);
    const stored = await this.#redis.field(place.name, place.field);
    if (stored === undefined) return undefined;
    const key = decodeKey(await this.#macs.verified(place, stored), { region, keyId });
    assertNotOlder(keyName(region, keyId), key.revision);
    return key;
  }

  async insertKey(key: KmsKey): Promise<void> {
    const json = await this.#textOfKey(key);
    // Acknowledged only if both succeed: a list skips an entry without a record, and a record that was never
    // acknowledged belongs to nobody.
    const [, inserted] = await Promise.all([this.#lists.add(key), this.#records.insert({ key, json })]);
    if (inserted) return;
    const there = await this.findKey(key.region, key.keyId);
    if (there?.createdAt !== key.createdAt) await this.#lists.remove(key);
    throw new ConflictError(`key ${key.arn} exists`);
  }

  async updateKey(key: KmsKey, event?: ClaimedEvent): Promise<KmsKey> {
    const updated = { ...key, revision: key.revision + 1 };
    const text = event && { ...event, text: await this.#textOfEvent(key, event) };
    const done = await this.#records.update(key.revision, { key, json: await this.#textOfKey(updated) }, text);
    if (!done) throw new ConflictError(`key ${key.arn} has changed`);
    this.#acknowledged.written(keyName(key.region, key.keyId), updated.revision);
    return updated;
  }

  #textOfKey(key: KmsKey): Promise<AuthenticRecord> {
    return this.#macs.withMac(keyPlace(key.region, key.keyId), encodeKey(key));
  }

  #textOfEvent({ region, keyId }: Named, { id, text }: StoredEvent): Promise<AuthenticRecord> {
    return this.#macs.withMac(eventPlace({ region, keyId }, id), text);
  }

  async deleteKey(key: KmsKey, event: StoredEvent, later?: ClaimedEvent): Promise<void> {
    const { region, keyId, revision, arn } = key;
    const keys = [keyAt(region, keyId), eventsAt(region, keyId)] as const;
    const told = [event.id, await this.#textOfEvent(key, event)];
    if (later !== undefined) {
      told.push(later.id, await this.#textOfEvent(key, later));
      await this.#records.addEventEntry(key, later);
    }
    const change = [CHANGES, keyName(region, keyId)] as const;
    const done = await this.#redis.script('kfDeleteRecord', ...keys, revision, ...change, ...told);
    if (done === 0) throw new ConflictError(`key ${arn} has changed`);
    // A replica of this id may be made again. Its first revision is greater.
    this.#acknowledged.written(keyName(region, keyId), revision + 1);
  }

  async claimEvents(key: Named, { now, until, onDamaged }: Claim): Promise<StoredEvent[]> {
    const name = eventsAt(key.region, key.keyId);
    if ((await this.#redis.script('kfClaimEvents', name, now, until)) === 0)
      throw new ConflictError(`what was done to key ${key.keyId} is being recorded`);
    const events = new Map<string, string>();
    for (let cursor: string | undefined = '0'; cursor !== undefined;) {
      const page: PageOfFields = await this.#redis.pageOfFields(name, { cursor, count: AT_ONCE });
      for (const damage of page.damaged) onDamaged?.(new DamagedRecordError(damage));
      for (const [id, stored] of page.fields.filter(([field]) => field !== 'claimedUntil')) {
        const place = eventPlace(key, id);
        const verified = this.#macs.verified(place, storedText(place, stored));
        const text = await verified.catch((error: unknown) => unlessDamaged(error, onDamaged));
        if (text !== undefined) events.set(id, text);
      }
      cursor = page.cursor === '0' ? undefined : page.cursor;
    }
    return [...events].map(([id, text]) => ({ id, text }));
  }

  async forgetEvents(key: KeyTraces, events: readonly (StoredEvent & Partial<ClaimedEvent>)[]): Promise<void> {
    await this.#redis.script('kfForgetEvents', eventsAt(key.region, key.keyId), ...events.map(({ id }) => id));
    await Promise.all(events.map((event) => this.#records.removeEventEntry(key, event)));
  }

  async clearTraces({ keyId, createdAt, customKeyStoreId, xksKeyId, ...scope }: KeyTraces): Promise<void> {
    const parts = [keyId, CHANGES, aliasName(scope, ''), AT_ONCE] as const;
    while ((await this.#redis.script('kfDeleteAliasesOf', ...aliasesAt(scope), ...parts)) === AT_ONCE);
    if (createdAt !== undefined) await this.#lists.remove({ ...scope, keyId, createdAt });
    if (customKeyStoreId !== undefined) {
      const entry = keyInStoreEntryOf({ keyId, customKeyStoreId, xksKeyId });
      await this.#redis.write('zrem', keyStoresAt(scope)[1], entry);
    }
  }

  listKeys(scope: Scope, limit: number, after?: string): Promise<Page<string>> {
    return this.#lists.page(scope, limit, after);
  }

  countKeys(scope: Scope, quota: number): Promise<number> {
    return this.#lists.count(scope, quota);
  }

  async findLastUsage(region: string, keyId: string): Promise<LastUsage | undefined> {
    const place = lastUsagePlace(region, keyId);
    const stored = await this.#redis.field(place.name, place.field);
    return stored === undefined
      ? undefined
      : decodeLastUsage(await this.#macs.verified(place, stored), { region, keyId });
  }

  async keepLastUsages(uses: readonly KeyUse[]): Promise<void> {
    const written = uses.map(async ({ region, keyId, usage }) => {
      const text = await this.#macs.withMac(lastUsagePlace(region, keyId), encodeLastUsage(usage));
      return [keyAt(region, keyId), usage.usedAt, text] as const;
    });
    await this.#redis.scriptForMany('kfKeepLastUsages', await Promise.all(written));
  }

  async now(): Promise<number> {
    const [seconds, microseconds] = (await this.#redis.read((client) => client.time())).map(Number);
    return seconds! * 1000 + Math.floor(microseconds! / 1000);
  }

  async listDue(
    shard: number,
    until: number,
    { limit, after }: { limit: number; after?: string },
  ): Promise<Page<DueKey>> {
    const from = after === undefined ? '-' : `(${after}`;
    const to = `(${endOf(until)}`;
    const entries = await this.#redis.entries(dueAt(shard), { from, to, limit: limit + 1 });
    const items = entries.slice(0, limit).map(dueKeyOf);
    const last = items.at(-1);
    return entries.length > limit && last !== undefined ? { items, next: last.entry } : { items };
  }

  async removeDue(shard: number, { entry }: Pick<DueKey, 'entry'>): Promise<void> {
    await this.#redis.write('zrem', dueAt(shard), entry);
  }

  findAlias(scope: Scope, name: string): Promise<Alias | undefined> {
    return this.#aliases.findAlias(scope, name);
  }

  insertAlias(scope: Scope, alias: Alias, quota: number): Promise<AliasOutcome> {
    return this.#aliases.insertAlias(scope, alias, quota);
  }

  updateAlias(scope: Scope, alias: Alias, move: AliasMove): Promise<AliasOutcome> {
    return this.#aliases.updateAlias(scope, alias, move);
  }

  deleteAlias(scope: Scope, alias: Pick<Alias, 'name' | 'targetKeyId'>): Promise<boolean> {
    return this.#aliases.deleteAlias(scope, alias);
  }

  listAliases(scope: Scope, limit: number, after?: string, targetKeyId?: string): Promise<AliasPage> {
    return this.#aliases.listAliases(scope, limit, after, targetKeyId);
  }

  findAccessKey(accessKeyId: string): Promise<AccessKeyRecord | undefined> {
    return this.#accessKeys.findAccessKey(accessKeyId);
  }

  insertAccessKey(record: AccessKeyRecord): Promise<void> {
    return this.#accessKeys.insertAccessKey(record);
  }

  deleteAccessKey(accessKeyId: string): Promise<void> {
    return this.#accessKeys.deleteAccessKey(accessKeyId);
  }

  forgetPolicies(accessKeyId: string): Promise<void> {
    return this.#accessKeys.forgetPolicies(accessKeyId);
  }

  findAccessKeyUse(accessKeyId: string): Promise<AccessKeyUse | undefined> {
    return this.#accessKeys.findAccessKeyUse(accessKeyId);
  }

  keepAccessKeyUse(accessKeyId: string, use: AccessKeyUse): Promise<void> {
    return this.#accessKeys.keepAccessKeyUse(accessKeyId, use);
  }

  hasAccount(accountId: string): Promise<boolean> {
    return this.#accessKeys.hasAccount(accountId);
  }

  findFirstAccessKey(accountId: string): Promise<AccessKeyRecord | undefined> {
    return this.#accessKeys.findFirstAccessKey(accountId);
  }

  insertFirstAccessKey(record: AccessKeyRecord): Promise<boolean> {
    return this.#accessKeys.insertFirstAccessKey(record);
  }
}
