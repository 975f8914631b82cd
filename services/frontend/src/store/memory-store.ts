import { type Clock, systemClock } from '@keyfleet/shared/clock';
import { dueDateOf, dueEntryOf, type DueKey, dueKeyOf, dueShardOf, endOf } from '@keyfleet/shared/stored/due-entries';
import type { Scope } from '@keyfleet/shared/stored/names';
import type { KmsKey } from '../keys/kms-key.ts';
import { eventEntryOf } from './record-writes.ts';
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
  type AccessKeyUse,
  type AccessKeyUseStore,
  type KeyUse,
  type LastUsage,
  type LastUsageStore,
  pageOf,
  type Page,
  type StoredEvent,
} from './store.ts';

/** The stores of records in memory: for tests, and as the reference for the Redis store. */
export class MemoryStore implements KeyStore, AliasStore, IdentityStore, LastUsageStore, AccessKeyUseStore, DueStore {
  clock: Clock = systemClock;
  readonly #keys = new Map<string, KmsKey>();
  readonly #lastUsages = new Map<string, LastUsage>();
  readonly #accessKeyUses = new Map<string, AccessKeyUse>();
  readonly #events = new Map<string, { readonly told: Map<string, string>; claimedUntil: number }>();
  readonly #due = new Set<string>();
  readonly #aliases = new Map<string, Map<string, Alias>>();
  readonly #accessKeys = new Map<string, AccessKeyRecord>();
  readonly #firstAccessKeys = new Map<string, string>();

  async findKey(region: string, keyId: string): Promise<KmsKey | undefined> {
    return this.#keys.get(`${region}/${keyId}`);
  }

  async insertKey(key: KmsKey): Promise<void> {
    const name = `${key.region}/${key.keyId}`;
    if (this.#keys.has(name) || this.#eventsOf(key).told.size > 0) throw new ConflictError(`key ${key.arn} exists`);
    this.#addDue(key);
    this.#keys.set(name, structuredClone(key));
  }

  async updateKey(key: KmsKey, event?: ClaimedEvent): Promise<KmsKey> {
    const name = `${key.region}/${key.keyId}`;
    if (this.#keys.get(name)?.revision !== key.revision) throw new ConflictError(`key ${key.arn} has changed`);
    this.#removeDueOf(this.#keys.get(name)!);
    const updated = structuredClone({ ...key, revision: key.revision + 1 });
    this.#addDue(updated);
    this.#keys.set(name, updated);
    if (event !== undefined) {
      this.#due.add(eventEntryOf(key, event));
      this.#eventsOf(key).claimedUntil = event.until;
      this.#eventsOf(key).told.set(event.id, event.text);
    }
    return updated;
  }

  async deleteKey(key: KmsKey, event: StoredEvent, later?: ClaimedEvent): Promise<void> {
    const name = `${key.region}/${key.keyId}`;
    const stored = this.#keys.get(name);
    if (stored === undefined) return;
    if (stored.revision !== key.revision) throw new ConflictError(`key ${key.arn} has changed`);
    this.#lastUsages.delete(name);
    this.#keys.delete(name);
    for (const { id, text } of later ? [event, later] : [event]) this.#eventsOf(key).told.set(id, text);
    if (later !== undefined) this.#due.add(eventEntryOf(key, later));
  }

  async claimEvents(key: Pick<KeyTraces, 'region' | 'keyId'>, { now, until }: Claim): Promise<StoredEvent[]> {
    const events = this.#eventsOf(key);
    if (events.claimedUntil > now) throw new ConflictError(`what was done to key ${key.keyId} is being recorded`);
    if (events.told.size > 0) events.claimedUntil = until;
    return [...events.told].map(([id, text]) => ({ id, text }));
  }

  async forgetEvents(key: KeyTraces, events: readonly (StoredEvent & Partial<ClaimedEvent>)[]): Promise<void> {
    for (const { id, until } of events) {
      this.#eventsOf(key).told.delete(id);
      if (until !== undefined) this.#due.delete(eventEntryOf(key, { id, until }));
    }
    if (this.#eventsOf(key).told.size === 0) this.#eventsOf(key).claimedUntil = 0;
  }

  #eventsOf({ region, keyId }: Pick<KeyTraces, 'region' | 'keyId'>) {
    return this.#events.getOrInsertComputed(`${region}/${keyId}`, () => ({
      told: new Map<string, string>(),
      claimedUntil: 0,
    }));
  }

  async clearTraces({ keyId, ...scope }: KeyTraces): Promise<void> {
    const aliases = this.#aliasesOf(scope);
    for (const { name, targetKeyId } of aliases.values()) if (targetKeyId === keyId) aliases.delete(name);
  }

  async listKeys({ accountId, region }: Scope, limit: number, after = ''): Promise<Page<string>> {
    const keys = this.#keys.values().filter((key) => key.accountId === accountId && key.region === region);
    const ids = keys.map(({ keyId }) => keyId).toArray();
    return pageOf(ids, { nameOf: (keyId) => keyId, limit, after });
  }

  async countKeys({ accountId, region }: Scope): Promise<number> {
    return this.#keys
      .values()
      .reduce((sum, key) => sum + (key.accountId === accountId && key.region === region ? 1 : 0), 0);
  }

  async now(): Promise<number> {
    return this.clock.now();
  }

  async listDue(shard: number, until: number, { limit, after = '' }: { limit: number; after?: string }) {
    const due = this.#due
      .values()
      .map(dueKeyOf)
      .filter((key) => dueShardOf(key) === shard && key.entry < endOf(until));
    return pageOf(due.toArray(), { nameOf: ({ entry }) => entry, limit, after });
  }

  async removeDue(_shard: number, { entry }: Pick<DueKey, 'entry'>): Promise<void> {
    this.#due.delete(entry);
  }

  async findLastUsage(region: string, keyId: string): Promise<LastUsage | undefined> {
    return this.#lastUsages.get(`${region}/${keyId}`);
  }

  async keepLastUsages(uses: readonly KeyUse[]): Promise<void> {
    for (const { region, keyId, usage } of uses) {
      const name = `${region}/${keyId}`;
      const kept = this.#lastUsages.get(name);
      if (this.#keys.has(name) && (kept === undefined || kept.usedAt <= usage.usedAt)) {
        this.#lastUsages.set(name, { ...usage });
      }
    }
  }

  async findAlias(scope: Scope, name: string): Promise<Alias | undefined> {
    return this.#aliasesOf(scope).get(name);
  }

  async insertAlias(scope: Scope, alias: Alias, quota: number): Promise<AliasOutcome> {
    const aliases = this.#aliasesOf(scope);
    if (aliases.has(alias.name)) return 'taken';
    if (countOf(aliases, alias.targetKeyId) >= quota) return 'full';
    aliases.set(alias.name, alias);
    return 'done';
  }

  async updateAlias(scope: Scope, alias: Alias, { from, quota }: AliasMove): Promise<AliasOutcome> {
    const aliases = this.#aliasesOf(scope);
    const previous = aliases.get(alias.name);
    if (!previous) return 'missing';
    if (previous.targetKeyId !== from) throw new ConflictError(`${alias.name} has moved`);
    const moves = previous.targetKeyId !== alias.targetKeyId;
    if (moves && countOf(aliases, alias.targetKeyId) >= quota) return 'full';
    aliases.set(alias.name, alias);
    return 'done';
  }

  async deleteAlias(scope: Scope, { name, targetKeyId }: Alias): Promise<boolean> {
    const aliases = this.#aliasesOf(scope);
    const stored = aliases.get(name);
    if (stored && stored.targetKeyId !== targetKeyId) throw new ConflictError(`${name} has moved`);
    return aliases.delete(name);
  }

  async listAliases(scope: Scope, limit: number, after = '', targetKeyId?: string): Promise<Page<Alias>> {
    const all = this.#aliasesOf(scope).values();
    const wanted = all.filter((alias) => targetKeyId === undefined || alias.targetKeyId === targetKeyId).toArray();
    return pageOf(wanted, { nameOf: ({ name }) => name, limit, after });
  }

  async findAccessKey(accessKeyId: string): Promise<AccessKeyRecord | undefined> {
    return this.#accessKeys.get(accessKeyId);
  }

  async insertAccessKey(record: AccessKeyRecord): Promise<void> {
    if (this.#accessKeys.has(record.accessKeyId)) throw new ConflictError(`access key ${record.accessKeyId} exists`);
    this.#accessKeys.set(record.accessKeyId, record);
  }

  async deleteAccessKey(accessKeyId: string): Promise<void> {
    this.#accessKeys.delete(accessKeyId);
    this.#accessKeyUses.delete(accessKeyId);
  }

  async forgetPolicies(accessKeyId: string): Promise<void> {
    const record = this.#accessKeys.get(accessKeyId);
    if (record !== undefined) this.#accessKeys.set(accessKeyId, { ...record, policies: [] });
  }

  async findAccessKeyUse(accessKeyId: string): Promise<AccessKeyUse | undefined> {
    return this.#accessKeyUses.get(accessKeyId);
  }

  async keepAccessKeyUse(accessKeyId: string, use: AccessKeyUse): Promise<void> {
    const kept = this.#accessKeyUses.get(accessKeyId);
    if (!this.#accessKeys.has(accessKeyId) || (kept !== undefined && kept.usedAt > use.usedAt)) return;
    this.#accessKeyUses.set(accessKeyId, { ...use });
  }

  async hasAccount(accountId: string): Promise<boolean> {
    return this.#firstAccessKeys.has(accountId);
  }

  async findFirstAccessKey(accountId: string): Promise<AccessKeyRecord | undefined> {
    return this.#accessKeys.get(this.#firstAccessKeys.get(accountId) ?? '');
  }

  async insertFirstAccessKey(record: AccessKeyRecord): Promise<boolean> {
    if (this.#firstAccessKeys.has(record.accountId)) return false;
    this.#firstAccessKeys.set(record.accountId, record.accessKeyId);
    await this.insertAccessKey(record);
    return true;
  }

  #addDue(key: KmsKey): void {
    const date = dueDateOf(key);
    if (date !== undefined) this.#due.add(dueEntryOf(key, date, `${key.revision}`));
  }

  #removeDueOf(key: KmsKey): void {
    const date = dueDateOf(key);
    if (date !== undefined) this.#due.delete(dueEntryOf(key, date, `${key.revision}`));
  }

  #aliasesOf({ accountId, region }: Scope): Map<string, Alias> {
    const name = `${accountId}/${region}`;
    const aliases = this.#aliases.get(name) ?? new Map<string, Alias>();
    this.#aliases.set(name, aliases);
    return aliases;
  }
}

function countOf(aliases: ReadonlyMap<string, Alias>, keyId: string): number {
  return aliases
    .values()
    .filter(({ targetKeyId }) => targetKeyId === keyId)
    .toArray().length;
}
