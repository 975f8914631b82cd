import { type Clock, monotonicClock as ofThisProcess } from '@keyfleet/shared/clock';
import { type DueKey, dueKeyOf, dueShardOf, endOf } from '@keyfleet/shared/stored/due-entries';
import {
  accessKeyAt,
  aliasesAt,
  CHANGES,
  eventsAt,
  dueAt,
  firstAccessKeyAt,
  keyAt,
  keyStoresAt,
  type Scope,
} from '@keyfleet/shared/stored/names';
import { keyInStoreEntryOf } from '@keyfleet/shared/stored/key-store-keys';
import type { KmsKey } from '../keys/kms-key.ts';
import { Acknowledged } from './acknowledged.ts';
import { accessKeyName, aliasName, keyName } from './change-feed.ts';
import { KeyLists } from './key-lists.ts';
import { Orphans } from './orphans.ts';
import type { RecordMacs } from './record-macs.ts';
import { accessKeyPlace, aliasPlace, eventPlace, keyPlace, lastUsagePlace } from './record-places.ts';
import { RecordWrites } from './record-writes.ts';
import {
  damagedRecord,
  decodeAccessKey,
  decodeAlias,
  decodeKey,
  decodeLastUsage,
  encodeAccessKey,
  encodeAlias,
  encodeKey,
  encodeLastUsage,
} from './records.ts';
import type { RedisCalls } from './redis-calls.ts';
import {
  type AccessKeyRecord,
  type Alias,
  type AliasMove,
  type AliasOutcome,
  type AliasStore,
  type Claim,
  type ClaimedEvent,
  ConflictError,
  type DueStore,
  type IdentityStore,
  type KeyStore,
  type KeyTraces,
  type LastUsage,
  type LastUsageStore,
  type Page,
  type StoredEvent,
} from './store.ts';

export interface RedisStoreDeps {
  readonly calls: RedisCalls;
  readonly macs: RecordMacs;
  readonly clock: Clock;
  /** Shared with the other stores of a frontend. */
  readonly acknowledged?: Acknowledged;
  /** For how long something has been. */
  readonly monotonicClock?: Clock;
}

type Named = Pick<KeyTraces, 'region' | 'keyId'>;

/** The system of record. Everything of one key lies under one hash tag, and so does everything of one account's aliases. */
export class RedisStore implements KeyStore, AliasStore, IdentityStore, LastUsageStore, DueStore {
  readonly #redis: RedisCalls;
  readonly #macs: RecordMacs;
  readonly #records: RecordWrites;
  readonly #lists: KeyLists;
  readonly #acknowledged: Acknowledged;

  constructor({
    calls,
    macs,
    clock,
    monotonicClock = ofThisProcess,
    acknowledged = new Acknowledged(),
  }: RedisStoreDeps) {
    this.#redis = calls;
    this.#macs = macs;
    this.#acknowledged = acknowledged;
    this.#records = new RecordWrites(this.#redis, clock);
    this.#lists = new KeyLists(this.#redis, new Orphans(monotonicClock));
  }

  async findKey(region: string, keyId: string): Promise<KmsKey | undefined> {
    const assertNotOlder = this.#acknowledged.beginRead();
    const place = keyPlace(region, keyId);
    const stored = await this.#redis.read((client) => client.hget(place.name, place.field));
    if (stored === null) return undefined;
    const key = decodeKey(await this.#macs.verified(place, stored), { region, keyId });
    assertNotOlder(keyName(region, keyId), key.revision);
    return key;
  }

  async insertKey(key: KmsKey): Promise<void> {
    const json = await this.#textOfKey(key);
    // Both or no acknowledgement: a list skips an entry without a record, and a record that was never acknowledged is nobody's.
    const [, inserted] = await Promise.all([this.#lists.add(key), this.#records.insert({ key, json })]);
    if (!inserted) throw new ConflictError(`key ${key.arn} exists`);
  }

  async updateKey(key: KmsKey, event?: ClaimedEvent): Promise<KmsKey> {
    const updated = { ...key, revision: key.revision + 1 };
    const text = event && { ...event, text: await this.#textOfEvent(key, event) };
    const done = await this.#records.update(key.revision, { key, json: await this.#textOfKey(updated) }, text);
    if (!done) throw new ConflictError(`key ${key.arn} has changed`);
    this.#acknowledged.written(keyName(key.region, key.keyId), updated.revision);
    return updated;
  }

  #textOfKey(key: KmsKey): Promise<string> {
    return this.#macs.withMac(keyPlace(key.region, key.keyId), encodeKey(key));
  }

  #textOfEvent({ region, keyId }: Named, { id, text }: StoredEvent): Promise<string> {
    return this.#macs.withMac(eventPlace({ region, keyId }, id), text);
  }

  async deleteKey(key: KmsKey, event: StoredEvent): Promise<void> {
    const { region, keyId, revision, arn } = key;
    const keys = [keyAt(region, keyId), eventsAt(region, keyId)] as const;
    const text = await this.#textOfEvent(key, event);
    const change = [CHANGES, keyName(region, keyId)] as const;
    const done = await this.#redis.script('kfDeleteRecord', ...keys, revision, ...change, event.id, text);
    if (done === 0) throw new ConflictError(`key ${arn} has changed`);
    this.#acknowledged.removed(keyName(region, keyId));
  }

  async claimEvents(key: Named, { now, until }: Claim): Promise<StoredEvent[]> {
    const found = await this.#redis.script('kfClaimEvents', eventsAt(key.region, key.keyId), now, until);
    if (found === 0) throw new ConflictError(`what was done to key ${key.keyId} is being recorded`);
    const parts = found as string[];
    const ids = parts.filter((_, index) => index % 2 === 0);
    return Promise.all(
      ids.map(async (id, index) => ({
        id,
        text: await this.#macs.verified(eventPlace(key, id), parts[2 * index + 1]!),
      })),
    );
  }

  async forgetEvents(key: KeyTraces, events: readonly (StoredEvent & Partial<ClaimedEvent>)[]): Promise<void> {
    await this.#redis.script('kfForgetEvents', eventsAt(key.region, key.keyId), ...events.map(({ id }) => id));
    await Promise.all(events.map((event) => this.#records.removeEventEntry(key, event)));
  }

  async clearTraces({ keyId, createdAt, customKeyStoreId, xksKeyId, ...scope }: KeyTraces): Promise<void> {
    await this.#redis.script('kfDeleteAliasesOf', ...aliasesAt(scope), keyId, CHANGES, aliasName(scope, ''));
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
    const stored = await this.#redis.read((client) => client.hget(place.name, place.field));
    return stored === null ? undefined : decodeLastUsage(await this.#macs.verified(place, stored), { region, keyId });
  }

  async keepLastUsage(region: string, keyId: string, usage: LastUsage): Promise<void> {
    const text = await this.#macs.withMac(lastUsagePlace(region, keyId), encodeLastUsage(usage));
    const parts = [keyAt(region, keyId), usage.usedAt, text] as const;
    await this.#redis.scriptUndurably('kfKeepLastUsage', ...parts);
  }

  async listDue(
    shard: number,
    until: number,
    { limit, after }: { limit: number; after?: string },
  ): Promise<Page<DueKey>> {
    const from = after === undefined ? '-' : `(${after}`;
    const to = `(${endOf(until)}`;
    const entries = await this.#redis.read((client) =>
      client.zrange(dueAt(shard), from, to, 'BYLEX', 'LIMIT', 0, limit + 1),
    );
    const items = entries.slice(0, limit).map(dueKeyOf);
    const last = items.at(-1);
    return entries.length > limit && last !== undefined ? { items, next: last.entry } : { items };
  }

  async removeDue(due: DueKey): Promise<void> {
    await this.#redis.write('zrem', dueAt(dueShardOf(due)), due.entry);
  }

  async findAlias(scope: Scope, name: string): Promise<Alias | undefined> {
    const [aliases] = aliasesAt(scope);
    const text = await this.#redis.read((client) => client.hget(aliases, name));
    return text === null ? undefined : this.#readAlias(scope, name, text);
  }

  async #readAlias(scope: Scope, name: string, stored: string): Promise<Alias> {
    return decodeAlias(await this.#macs.verified(aliasPlace(scope, name), stored), name);
  }

  insertAlias(scope: Scope, alias: Alias, quota: number): Promise<AliasOutcome> {
    return this.#putAlias('kfInsertAlias', scope, { alias, quota });
  }

  updateAlias(scope: Scope, alias: Alias, { from, quota }: AliasMove): Promise<AliasOutcome> {
    return this.#putAlias('kfUpdateAlias', scope, { alias, quota }, from);
  }

  async #putAlias(
    script: 'kfInsertAlias' | 'kfUpdateAlias',
    scope: Scope,
    { alias, quota }: { alias: Alias; quota: number },
    ...from: string[]
  ): Promise<AliasOutcome> {
    const { name, targetKeyId } = alias;
    const change = [CHANGES, aliasName(scope, name)] as const;
    const text = await this.#macs.withMac(aliasPlace(scope, name), encodeAlias(alias));
    const parts = [name, text, targetKeyId, quota, ...change] as const;
    const outcome = await this.#redis.script(script, ...aliasesAt(scope), ...parts, ...from);
    if (outcome === 'moved') throw new ConflictError(`${name} has moved`);
    return outcome as AliasOutcome;
  }

  async deleteAlias(scope: Scope, { name, targetKeyId }: Pick<Alias, 'name' | 'targetKeyId'>): Promise<boolean> {
    const change = [CHANGES, aliasName(scope, name)] as const;
    const done = await this.#redis.script('kfDeleteAlias', ...aliasesAt(scope), name, targetKeyId, ...change);
    if (done === 2) throw new ConflictError(`${name} has moved`);
    return done === 1;
  }

  async listAliases(scope: Scope, limit: number, after?: string, targetKeyId?: string): Promise<Page<Alias>> {
    const [aliases, names, targets] = aliasesAt(scope);
    const prefix = targetKeyId === undefined ? '' : `${targetKeyId}/`;
    const from = after !== undefined ? `(${prefix}${after}` : prefix === '' ? '-' : `[${prefix}`;
    // '0' is the character after '/'.
    const to = prefix === '' ? '+' : `(${targetKeyId}0`;
    const list = prefix === '' ? names : targets;
    const members = await this.#redis.read((client) => client.zrange(list, from, to, 'BYLEX', 'LIMIT', 0, limit + 1));
    const page = members.slice(0, limit).map((member) => member.slice(prefix.length));
    const texts = page.length === 0 ? [] : await this.#redis.read((client) => client.hmget(aliases, ...page));
    // One that was deleted meanwhile is left out.
    const items = await Promise.all(
      page.flatMap((name, i) => (texts[i] ? [this.#readAlias(scope, name, texts[i])] : [])),
    );
    const last = page.at(-1);
    return members.length > limit && last !== undefined ? { items, next: last } : { items };
  }

  async findAccessKey(accessKeyId: string): Promise<AccessKeyRecord | undefined> {
    const assertNotOlder = this.#acknowledged.beginRead();
    const text = await this.#redis.read((client) => client.get(accessKeyAt(accessKeyId)));
    if (text === null) return undefined;
    const record = await this.#readAccessKey(text, accessKeyId);
    assertNotOlder(accessKeyName(accessKeyId), revisionOf(record));
    return record;
  }

  async #readAccessKey(stored: string, accessKeyId: string): Promise<AccessKeyRecord> {
    return decodeAccessKey(await this.#macs.verified(accessKeyPlace(accessKeyId), stored), accessKeyId);
  }

  #textOfAccessKey(record: AccessKeyRecord): Promise<string> {
    return this.#macs.withMac(accessKeyPlace(record.accessKeyId), encodeAccessKey(record));
  }

  async insertAccessKey(record: AccessKeyRecord): Promise<void> {
    const { accessKeyId } = record;
    const text = await this.#textOfAccessKey(record);
    const done = await this.#redis.write('set', accessKeyAt(accessKeyId), text, 'NX');
    if (done !== 'OK') throw new ConflictError(`access key ${accessKeyId} exists`);
  }

  async deleteAccessKey(accessKeyId: string): Promise<void> {
    await this.#redis.write('del', accessKeyAt(accessKeyId));
    this.#acknowledged.removed(accessKeyName(accessKeyId));
  }

  async forgetPolicies(accessKeyId: string): Promise<void> {
    const place = accessKeyPlace(accessKeyId);
    const stored = await this.#redis.read((client) => client.get(place.name));
    if (stored === null) return;
    const record = { ...(await this.#readAccessKey(stored, accessKeyId)), policies: [] };
    // Who is overtaken by resealing does it the next time.
    const done = await this.#redis.script('kfReplaceValue', place.name, stored, await this.#textOfAccessKey(record));
    if (done === 1) this.#acknowledged.written(accessKeyName(accessKeyId), revisionOf(record));
  }

  async hasAccount(accountId: string): Promise<boolean> {
    return (await this.#redis.read((client) => client.exists(firstAccessKeyAt(accountId)))) === 1;
  }

  async findFirstAccessKey(accountId: string): Promise<AccessKeyRecord | undefined> {
    const claim = await this.#redis.read((client) => client.get(firstAccessKeyAt(accountId)));
    if (claim === null) return undefined;
    const [accessKeyId = '', text] = claim.split(/ (.*)/s);
    if (text === undefined) return this.findAccessKey(accessKeyId);
    // Whoever claimed the place died before its access key was stored.
    const record = await this.#readAccessKey(text, accessKeyId);
    if (record.accountId !== accountId)
      throw damagedRecord(`the first access key of ${accountId}`, 'it is of another account');
    await this.#storeFirst(record, text);
    return record;
  }

  async insertFirstAccessKey(record: AccessKeyRecord): Promise<boolean> {
    const { accountId, accessKeyId } = record;
    // This one write decides, and holds all that is needed to go on after a crash: who comes second has stored nothing.
    const text = await this.#textOfAccessKey(record);
    const claim = `${accessKeyId} ${text}`;
    if ((await this.#redis.write('set', firstAccessKeyAt(accountId), claim, 'NX')) !== 'OK') return false;
    await this.#storeFirst(record, text);
    return true;
  }

  async #storeFirst({ accountId, accessKeyId }: AccessKeyRecord, text: string): Promise<void> {
    await this.#redis.write('set', accessKeyAt(accessKeyId), text, 'NX');
    await this.#redis.write('set', firstAccessKeyAt(accountId), accessKeyId);
  }
}

/** An access key's record says something of policies, or no longer. */
function revisionOf({ policies }: AccessKeyRecord): number {
  return policies.length > 0 ? 0 : 1;
}
