import { iamFieldOf, iamLinksOf } from '@keyfleet/shared/stored/iam';
import { CHANGES, iamAt } from '@keyfleet/shared/stored/names';
import { Acknowledged } from '../store/acknowledged.ts';
import { iamChangeOf, iamRecordName } from '../store/change-feed.ts';
import type { AuthenticRecord } from '../store/record-mac.ts';
import type { RecordMacs } from '../store/record-macs.ts';
import { iamPlace } from '../store/record-places.ts';
import type { RedisCalls } from '../store/redis-calls.ts';
import { ConflictError, type Page } from '../store/store.ts';
import type { IamChange, IamStore, InsertOutcome, UpdateOutcome } from './iam-store.ts';
import { decodeIamRecord, encodeIamRecord, type IamKind, type IamRecord, type RecordOf } from './iam-records.ts';

export interface RedisIamStoreDeps {
  readonly calls: RedisCalls;
  readonly macs: RecordMacs;
  /** Shared with a frontend's other stores. */
  readonly acknowledged?: Acknowledged;
}

/** IAM records in Redis: one hash for each account, and sorted sets of names and of links. */
export class RedisIamStore implements IamStore {
  readonly #redis: RedisCalls;
  readonly #macs: RecordMacs;
  readonly #acknowledged: Acknowledged;

  constructor({ calls, macs, acknowledged = new Acknowledged() }: RedisIamStoreDeps) {
    this.#redis = calls;
    this.#macs = macs;
    this.#acknowledged = acknowledged;
  }

  async find<K extends IamKind>(accountId: string, kind: K, name: string): Promise<RecordOf<K> | undefined> {
    const place = iamPlace(accountId, kind, name);
    const assertNotOlder = this.#acknowledged.beginRead();
    const stored = await this.#redis.read((client) => client.hget(place.name, place.field));
    if (stored === null) return undefined;
    const record = decodeIamRecord(await this.#macs.verified(place, stored), { accountId, kind, name });
    assertNotOlder(iamRecordName(record), record.revision);
    return record;
  }

  async insert(record: IamRecord, quota: number): Promise<InsertOutcome> {
    const links = iamLinksOf(record);
    const parts = [fieldOf(record), await this.#textOf(record), kindPrefixOf(record.kind), quota];
    return (await this.#redis.script(
      'kfInsertIam',
      ...iamAt(record.accountId),
      ...parts,
      CHANGES,
      iamChangeOf(record.accountId),
      JSON.stringify(links),
    )) as InsertOutcome;
  }

  async update(...changes: readonly IamChange[]): Promise<UpdateOutcome> {
    const { accountId } = changes[0]!.before;
    const parts = await Promise.all(changes.map((change) => this.#partsOf(change)));
    const at = iamAt(accountId);
    const outcome = await this.#redis.script('kfUpdateIam', ...at, CHANGES, iamChangeOf(accountId), ...parts.flat());
    if (outcome === 'changed')
      throw new ConflictError(`${changes.map(({ before }) => fieldOf(before)).join()}: changed`);
    if (outcome === 'done') {
      for (const { before } of changes) this.#acknowledged.written(iamRecordName(before), before.revision + 1);
    }
    return outcome as UpdateOutcome;
  }

  async #partsOf({ before, record }: IamChange) {
    const [had, has] = [new Set(iamLinksOf(before)), new Set(iamLinksOf(record))];
    const text = await this.#textOf({ ...record, revision: before.revision + 1 });
    const changed = [[...had.difference(has)], [...has.difference(had)]].map((links) => JSON.stringify(links));
    return [fieldOf(before), before.revision, text, ...changed, fieldOf(record)];
  }

  async remove(record: IamRecord): Promise<'done' | 'linked'> {
    const outcome = await this.#redis.script(
      'kfRemoveIam',
      ...iamAt(record.accountId),
      fieldOf(record),
      record.revision,
      CHANGES,
      iamChangeOf(record.accountId),
      JSON.stringify(iamLinksOf(record)),
    );
    if (outcome === 'changed') throw new ConflictError(`${fieldOf(record)} has changed`);
    if (outcome === 'done') this.#acknowledged.removed(iamRecordName(record));
    return outcome as 'done' | 'linked';
  }

  async list<K extends IamKind>(accountId: string, kind: K, limit: number, after?: string): Promise<Page<RecordOf<K>>> {
    const [records, names] = iamAt(accountId);
    const page = await this.#range(names, kindPrefixOf(kind), limit, after);
    const assertNotOlder = this.#acknowledged.beginRead();
    const fields = page.items.map((name) => kindPrefixOf(kind) + name);
    const texts = fields.length === 0 ? [] : await this.#redis.read((client) => client.hmget(records, ...fields));
    // Records removed meanwhile are left out.
    const items = await Promise.all(
      texts.flatMap((text, i) => (text === null ? [] : [this.#read(accountId, kind, { field: fields[i]!, text })])),
    );
    for (const item of items) assertNotOlder(iamRecordName(item), item.revision);
    return page.next === undefined ? { items } : { items, next: page.next };
  }

  async #read<K extends IamKind>(
    accountId: string,
    kind: K,
    { field, text }: { field: string; text: string },
  ): Promise<RecordOf<K>> {
    const [name] = iamAt(accountId);
    return decodeIamRecord(await this.#macs.verified({ name, field }, text), { accountId, kind });
  }

  #textOf(record: IamRecord): Promise<AuthenticRecord> {
    return this.#macs.withMac(iamPlace(record.accountId, record.kind, record.name), encodeIamRecord(record));
  }

  count(accountId: string, kind: IamKind): Promise<number> {
    const [, names] = iamAt(accountId);
    const [from, to] = rangeOf(kindPrefixOf(kind));
    return this.#redis.read((client) => client.zlexcount(names, from, to));
  }

  listLinks(accountId: string, prefix: string, limit: number, after?: string): Promise<Page<string>> {
    const [, , links] = iamAt(accountId);
    return this.#range(links, prefix, limit, after);
  }

  /** The rest after `prefix` of each member of a sorted set. */
  async #range(list: string, prefix: string, limit: number, after?: string): Promise<Page<string>> {
    const [first, to] = rangeOf(prefix);
    const from = after === undefined ? first : `(${prefix}${after}`;
    const members = await this.#redis.read((client) => client.zrange(list, from, to, 'BYLEX', 'LIMIT', 0, limit + 1));
    const items = members.slice(0, limit).map((member) => member.slice(prefix.length));
    const last = items.at(-1);
    return members.length > limit && last !== undefined ? { items, next: last } : { items };
  }
}

function fieldOf({ kind, name }: IamRecord): string {
  return iamFieldOf(kind, name);
}

function kindPrefixOf(kind: IamKind): string {
  return `${kind}/`;
}

/** `prefix` ends in a slash, and '0' is the next character after it. */
function rangeOf(prefix: string): [string, string] {
  return [`[${prefix}`, `(${prefix.slice(0, -1)}0`];
}
