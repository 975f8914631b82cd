import type { Clock } from '@keyfleet/shared/clock';
import { unlessDamaged } from '@keyfleet/shared/redis/stored-values';
import { aliasesAt, CHANGES, type Scope } from '@keyfleet/shared/stored/names';
import type { Acknowledged } from './acknowledged.ts';
import { aliasRange, type ReadAlias } from './alias-lists.ts';
import { aliasName } from './change-feed.ts';
import type { RecordMacs } from './record-macs.ts';
import { aliasPlace } from './record-places.ts';
import { decodeAlias, encodeAlias } from './records.ts';
import type { RedisCalls } from './redis-calls.ts';
import {
  type Alias,
  type AliasMove,
  type AliasOutcome,
  type AliasPage,
  type AliasStore,
  ConflictError,
} from './store.ts';

export interface RedisAliasesDeps {
  readonly calls: RedisCalls;
  readonly macs: RecordMacs;
  readonly clock: Clock;
  readonly acknowledged: Acknowledged;
  readonly events?: AliasStoreEvents | undefined;
}

export interface AliasStoreEvents {
  /** What Redis has is none that a frontend wrote, or an older one. */
  aliasPassedOver(damage: Error): void;
}

/** All of one account's aliases in a Region are stored under one hash tag. */
export class RedisAliases implements AliasStore {
  readonly #redis: RedisCalls;
  readonly #macs: RecordMacs;
  readonly #clock: Clock;
  readonly #acknowledged: Acknowledged;
  readonly #events: AliasStoreEvents | undefined;

  constructor({ calls, macs, clock, acknowledged, events }: RedisAliasesDeps) {
    this.#redis = calls;
    this.#macs = macs;
    this.#clock = clock;
    this.#acknowledged = acknowledged;
    this.#events = events;
  }

  async findAlias(scope: Scope, name: string): Promise<Alias | undefined> {
    const [aliases] = aliasesAt(scope);
    const assertNotOlder = this.#acknowledged.beginRead();
    const text = await this.#redis.field(aliases, name);
    return text === undefined ? undefined : this.#readAlias(scope, name, { text, assertNotOlder });
  }

  async #readAlias(scope: Scope, name: string, { text, assertNotOlder }: ReadAlias): Promise<Alias> {
    const alias = decodeAlias(await this.#macs.verified(aliasPlace(scope, name), text), name);
    assertNotOlder(aliasName(scope, name), alias.updatedAt);
    return alias;
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
    const id = aliasName(scope, name);
    const change = [CHANGES, id] as const;
    const updatedAt = this.#acknowledged.next(id, alias.updatedAt);
    const text = await this.#macs.withMac(aliasPlace(scope, name), encodeAlias({ ...alias, updatedAt }));
    const parts = [name, text, targetKeyId, quota, ...change] as const;
    const outcome = await this.#redis.script(script, ...aliasesAt(scope), ...parts, ...from);
    if (outcome === 'moved') throw new ConflictError(`${name} has moved`);
    if (outcome === 'done') this.#acknowledged.written(id, updatedAt);
    return outcome as AliasOutcome;
  }

  async deleteAlias(scope: Scope, { name, targetKeyId }: Pick<Alias, 'name' | 'targetKeyId'>): Promise<boolean> {
    const id = aliasName(scope, name);
    const change = [CHANGES, id] as const;
    const done = await this.#redis.script('kfDeleteAlias', ...aliasesAt(scope), name, targetKeyId, ...change);
    if (done === 2) throw new ConflictError(`${name} has moved`);
    // Another alias may take the name later; it is then newer than this one.
    if (done === 1) this.#acknowledged.written(id, this.#acknowledged.next(id, this.#clock.now()));
    return done === 1;
  }

  async listAliases(scope: Scope, limit: number, after?: string, targetKeyId?: string): Promise<AliasPage> {
    const [aliases, names, targets] = aliasesAt(scope);
    const { prefix, from, to } = aliasRange(targetKeyId, after);
    const list = prefix === '' ? names : targets;
    const members = await this.#redis.entries(list, { from, to, limit: limit + 1 });
    const page = members.slice(0, limit).map((member) => member.slice(prefix.length));
    const assertNotOlder = this.#acknowledged.beginRead();
    const texts = page.length === 0 ? [] : await this.#redis.eachField(aliases, page);
    // Aliases deleted meanwhile are left out.
    const read = page.flatMap((name, i) => {
      const text = texts[i];
      return text === undefined ? [] : [this.#readAlias(scope, name, { text, assertNotOlder }).catch(this.#passOver)];
    });
    const found = await Promise.all(read);
    // The lists only say where to look: what an alias names stands in its record, which is authenticated.
    const items = found.filter(
      (alias) => alias !== undefined && (targetKeyId === undefined || alias.targetKeyId === targetKeyId),
    ) as Alias[];
    const last = page.at(-1);
    return {
      items,
      ...(members.length > limit && last !== undefined && { next: last }),
      ...(found.includes(undefined) && { isLacking: true }),
    };
  }

  readonly #passOver = (error: unknown): undefined =>
    unlessDamaged(error, (damage) => this.#events?.aliasPassedOver(damage));
}
