import { type Clock, monotonicClock as ofThisProcess } from '@keyfleet/shared/clock';
import { type DueKey, dueKeyOf, dueShardOf, endOf } from '@keyfleet/shared/stored/due-entries';
import {
  accessKeyAt,
  aliasesAt,
  CHANGES,
  deletionAt,
  dueAt,
  firstAccessKeyAt,
  keyAt,
  type Scope,
  secretAt,
} from '@keyfleet/shared/stored/names';
import type { KmsKey } from '../keys/kms-key.ts';
import { aliasName, keyName } from './changes.ts';
import { KeyLists } from './key-lists.ts';
import { Orphans } from './orphans.ts';
import { RecordWrites } from './record-writes.ts';
import {
  decodeAccessKey,
  decodeAlias,
  decodeKey,
  decodeLastUsage,
  encodeAccessKey,
  encodeAlias,
  encodeKey,
  encodeLastUsage,
} from './records.ts';
import { type Connections, RedisCalls } from './redis-calls.ts';
import {
  type AccessKeyRecord,
  type Alias,
  type AliasMove,
  type AliasOutcome,
  type AliasStore,
  type Claim,
  ConflictError,
  DamagedRecordError,
  type DueStore,
  type FleetSecretStore,
  type IdentityStore,
  type KeyStore,
  type KeyTraces,
  type LastUsage,
  type LastUsageStore,
  type Page,
} from './store.ts';

export interface RedisStoreDeps extends Connections {
  readonly clock: Clock;
  /** For how long something has been. */
  readonly monotonicClock?: Clock;
}

type Named = Pick<KeyTraces, 'region' | 'keyId'>;

const MAX_ACKNOWLEDGED = 10_000;

/** The system of record. Everything of one key lies under one hash tag, and so does everything of one account's aliases. */
export class RedisStore implements KeyStore, AliasStore, IdentityStore, FleetSecretStore, LastUsageStore, DueStore {
  readonly #redis: RedisCalls;
  readonly #records: RecordWrites;
  readonly #lists: KeyLists;
  /** Revisions of keys that were written here last, by name: an older one in the store means that it lost a write. */
  readonly #acknowledged = new Map<string, number>();

  constructor({ clock, monotonicClock = ofThisProcess, ...connections }: RedisStoreDeps) {
    this.#redis = new RedisCalls(connections);
    this.#records = new RecordWrites(this.#redis, clock);
    this.#lists = new KeyLists(this.#redis, new Orphans(monotonicClock));
  }

  async findKey(region: string, keyId: string): Promise<KmsKey | undefined> {
    const name = keyName(region, keyId);
    const acknowledged = this.#acknowledged.get(name);
    const text = await this.#redis.read((client) => client.hget(keyAt(region, keyId), 'record'));
    if (text === null) return undefined;
    const key = decodeKey(text, { region, keyId });
    if (acknowledged !== undefined && key.revision < acknowledged) throw tooOld(key, acknowledged);
    return key;
  }

  /** Operators said that an older store goes on. */
  forgetAcknowledged(): void {
    this.#acknowledged.clear();
  }

  async insertKey(key: KmsKey): Promise<void> {
    // Both or no acknowledgement: a list skips an entry without a record, and a record that was never acknowledged is nobody's.
    const [, inserted] = await Promise.all([this.#lists.add(key), this.#records.insert({ key, json: encodeKey(key) })]);
    if (!inserted) throw new ConflictError(`key ${key.arn} exists`);
  }

  async updateKey(key: KmsKey): Promise<KmsKey> {
    const updated = { ...key, revision: key.revision + 1 };
    const done = await this.#records.update(key.revision, { key, json: encodeKey(updated) });
    if (!done) throw new ConflictError(`key ${key.arn} has changed`);
    this.#acknowledge(updated);
    return updated;
  }

  async deleteKey({ region, keyId, revision, arn }: KmsKey, event: string): Promise<void> {
    const keys = [keyAt(region, keyId), deletionAt(region, keyId)] as const;
    const done = await this.#redis.script('kfDeleteRecord', ...keys, revision, CHANGES, keyName(region, keyId), event);
    if (done === 0) throw new ConflictError(`key ${arn} has changed`);
  }

  async claimDeletion({ region, keyId }: Named, { now, until }: Claim): Promise<string | undefined> {
    const event = await this.#redis.script('kfClaimDeletion', deletionAt(region, keyId), now, until);
    if (event === 0) throw new ConflictError(`the deletion of key ${keyId} is being recorded`);
    return typeof event === 'string' ? event : undefined;
  }

  async forgetDeletion({ region, keyId }: Named): Promise<void> {
    await this.#redis.write('del', deletionAt(region, keyId));
  }

  async clearTraces({ keyId, createdAt, ...scope }: KeyTraces): Promise<void> {
    await this.#redis.script('kfDeleteAliasesOf', ...aliasesAt(scope), keyId, CHANGES, aliasName(scope, ''));
    if (createdAt !== undefined) await this.#lists.remove({ ...scope, keyId, createdAt });
  }

  listKeys(scope: Scope, limit: number, after?: string): Promise<Page<string>> {
    return this.#lists.page(scope, limit, after);
  }

  countKeys(scope: Scope): Promise<number> {
    return this.#lists.count(scope);
  }

  async findLastUsage(region: string, keyId: string): Promise<LastUsage | undefined> {
    const text = await this.#redis.read((client) => client.hget(keyAt(region, keyId), 'lastUsage'));
    return text === null ? undefined : decodeLastUsage(text, { region, keyId });
  }

  async keepLastUsage(region: string, keyId: string, usage: LastUsage): Promise<void> {
    const parts = [keyAt(region, keyId), usage.usedAt, encodeLastUsage(usage)] as const;
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
    return text === null ? undefined : decodeAlias(text, name);
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
    const parts = [name, encodeAlias(alias), targetKeyId, quota, ...change] as const;
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
    const items = page.flatMap((name, i) => (texts[i] ? [decodeAlias(texts[i], name)] : []));
    const last = page.at(-1);
    return members.length > limit && last !== undefined ? { items, next: last } : { items };
  }

  async findAccessKey(accessKeyId: string): Promise<AccessKeyRecord | undefined> {
    const text = await this.#redis.read((client) => client.get(accessKeyAt(accessKeyId)));
    return text === null ? undefined : decodeAccessKey(text, accessKeyId);
  }

  async insertAccessKey(record: AccessKeyRecord): Promise<void> {
    const { accessKeyId } = record;
    const done = await this.#redis.write('set', accessKeyAt(accessKeyId), encodeAccessKey(record), 'NX');
    if (done !== 'OK') throw new ConflictError(`access key ${accessKeyId} exists`);
  }

  async deleteAccessKey(accessKeyId: string): Promise<void> {
    await this.#redis.write('del', accessKeyAt(accessKeyId));
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
    const record = decodeAccessKey(text, accessKeyId);
    await this.#storeFirst(record);
    return record;
  }

  async insertFirstAccessKey(record: AccessKeyRecord): Promise<boolean> {
    const { accountId, accessKeyId } = record;
    // This one write decides, and holds all that is needed to go on after a crash: who comes second has stored nothing.
    const claim = `${accessKeyId} ${encodeAccessKey(record)}`;
    if ((await this.#redis.write('set', firstAccessKeyAt(accountId), claim, 'NX')) !== 'OK') return false;
    await this.#storeFirst(record);
    return true;
  }

  async #storeFirst(record: AccessKeyRecord): Promise<void> {
    const { accountId, accessKeyId } = record;
    await this.#redis.write('set', accessKeyAt(accessKeyId), encodeAccessKey(record), 'NX');
    await this.#redis.write('set', firstAccessKeyAt(accountId), accessKeyId);
  }

  async findSecret(name: string): Promise<Uint8Array | undefined> {
    return (await this.#redis.read((client) => client.getBuffer(secretAt(name)))) ?? undefined;
  }

  async insertSecret(name: string, token: Uint8Array): Promise<Uint8Array> {
    await this.#redis.write('set', secretAt(name), Buffer.from(token), 'NX');
    const stored = await this.findSecret(name);
    if (!stored) throw new Error(`the fleet secret ${name} is gone as soon as it was stored`);
    return stored;
  }

  #acknowledge({ region, keyId, revision }: KmsKey): void {
    const name = keyName(region, keyId);
    this.#acknowledged.delete(name);
    if (this.#acknowledged.size >= MAX_ACKNOWLEDGED) {
      this.#acknowledged.delete(this.#acknowledged.keys().next().value!);
    }
    this.#acknowledged.set(name, revision);
  }
}

function tooOld({ arn, revision }: KmsKey, acknowledged: number): DamagedRecordError {
  return new DamagedRecordError(
    `the record of ${arn} is at revision ${revision}, and this frontend has acknowledged ${acknowledged}: the store lost writes (docs/recovery.md)`,
  );
}
