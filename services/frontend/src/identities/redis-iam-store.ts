import { iamFieldOf, iamLinksOf } from '@keyfleet/shared/stored/iam';
import { type DamagedValueError, unlessDamaged } from '@keyfleet/shared/redis/stored-values';
import { CHANGES, iamAt, storedValues } from '@keyfleet/shared/stored/names';
import { Acknowledged } from '../store/acknowledged.ts';
import { iamChangeOf, iamRecordName } from '../store/change-feed.ts';
import { type AuthenticRecord, storedText } from '../store/record-mac.ts';
import type { RecordMacs } from '../store/record-macs.ts';
import { iamPlace } from '../store/record-places.ts';
import { iamVersionOf } from '../store/iam-scripts.ts';
import { RecordReads } from '../quotas/record-reads.ts';
import type { RequestRates } from '../quotas/request-rates.ts';
import type { RedisCalls } from '../store/redis-calls.ts';
import { ConflictError, type Page } from '../store/store.ts';
import type { ChargedIam, IamChange, IamStore, InsertOutcome, UpdateOutcome } from './iam-store.ts';
import { decodeIamRecord, encodeIamRecord, type IamKind, type IamRecord, type RecordOf } from './iam-records.ts';

export interface RedisIamStoreDeps {
  readonly calls: RedisCalls;
  readonly macs: RecordMacs;
  /** Shared with a frontend's other stores. */
  readonly acknowledged?: Acknowledged;
  /** Called with the length of each record that is read or written, and of each list of names. */
  readonly onRead?: (length: number) => void;
}

/**
 * A record can have 140,000 characters (a policy with five versions and fifty tags), so a thousand of them would be
 * many megabytes: how many are read in one go, and after how many characters a page ends.
 */
const READ_AT_ONCE = 16;
const MAX_PAGE_LENGTH = 1024 * 1024;
/** Links that one request forgets. */
const MOST_FORGOTTEN = 400;
/** What a principal of a trust policy counts for: whoever shows the policy reads its record, of as much or more. */
const PRINCIPAL_LENGTH = 1024;
/** To be changed, a record is parsed in Redis, which takes it as long as to read so many of the same length. */
const READS_OF_CHANGE = 5;

/** Each has turns of its own (`RecordReads`). */
export function chargedIam(deps: RedisIamStoreDeps, rates: RequestRates): ChargedIam {
  const reads = new RecordReads(rates);
  return (accountId, use) => reads.within(accountId, (onRead) => use(new RedisIamStore({ ...deps, onRead })));
}

/** IAM records in Redis: one hash for each account, and sorted sets of names and of links. */
export class RedisIamStore implements IamStore {
  readonly #redis: RedisCalls;
  readonly #macs: RecordMacs;
  readonly #acknowledged: Acknowledged;
  readonly #onRead: RedisIamStoreDeps['onRead'];

  constructor({ calls, macs, acknowledged = new Acknowledged(), onRead }: RedisIamStoreDeps) {
    this.#redis = calls;
    this.#macs = macs;
    this.#acknowledged = acknowledged;
    this.#onRead = onRead;
  }

  async find<K extends IamKind>(accountId: string, kind: K, name: string): Promise<RecordOf<K> | undefined> {
    const place = iamPlace(accountId, kind, name);
    const assertNotOlder = this.#acknowledged.beginRead();
    const stored = await this.#redis.field(place.name, place.field);
    this.#onRead?.(stored?.length ?? 0);
    if (stored === undefined) return undefined;
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
    const update = () => this.#redis.script('kfUpdateIam', ...at, CHANGES, iamChangeOf(accountId), ...parts.flat());
    let outcome = await update();
    const renamed = changes.filter(({ before, record }) => fieldOf(before) !== fieldOf(record));
    if (outcome === 'changed') {
      const forgotten = await Promise.all(renamed.map(({ before }) => this.#forgetLinks(before, { all: true })));
      if (forgotten.includes(true)) outcome = await update();
    }
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
    this.#onRead?.(READS_OF_CHANGE * text.text.length);
    const changed = [[...had.difference(has)], [...has.difference(had)]].map((links) => JSON.stringify(links));
    // All of them too: somebody who wrote Redis may have taken some away.
    return [fieldOf(before), iamVersionOf(before), text, ...changed, fieldOf(record), JSON.stringify([...has])];
  }

  async remove(record: IamRecord): Promise<'done' | 'linked'> {
    let outcome = await this.#remove(record);
    if (outcome === 'linked' && (await this.#forgetLinks(record, { all: false }))) outcome = await this.#remove(record);
    if (outcome === 'changed') throw new ConflictError(`${fieldOf(record)} has changed`);
    if (outcome === 'done') this.#acknowledged.removed(iamRecordName(record));
    return outcome as 'done' | 'linked';
  }

  #remove(record: IamRecord): Promise<unknown> {
    return this.#redis.script(
      'kfRemoveIam',
      ...iamAt(record.accountId),
      fieldOf(record),
      iamVersionOf(record),
      CHANGES,
      iamChangeOf(record.accountId),
      JSON.stringify(iamLinksOf(record)),
    );
  }

  /**
   * Links have no MAC. Removes those to this record that the record in which they begin does not confirm; too long ones
   * go as they are read. `all`: also once one is found that is confirmed; otherwise returns false then.
   */
  async #forgetLinks(to: IamRecord, { all }: { readonly all: boolean }): Promise<boolean> {
    const { accountId } = to;
    let forgotten = 0;
    for (const how of ['attached', 'boundary', 'member']) {
      const prefix = `${how}/${fieldOf(to)}/`;
      let after: string | undefined;
      do {
        const { items, next }: Page<string> = await this.listLinks(accountId, prefix, READ_AT_ONCE, after);
        const texts = await Promise.all(items.map((from) => this.#unlessConfirmed(accountId, from, prefix + from)));
        const unconfirmed = items.flatMap((from, i) => (texts[i] === undefined ? [] : [from, texts[i], prefix + from]));
        const most = storedValues.iam.maxBytes;
        forgotten += Number(await this.#redis.script('kfForgetIamLinks', ...iamAt(accountId), most, ...unconfirmed));
        if (texts.includes(undefined) && !all) return false;
        // The next request goes on.
        if (forgotten >= MOST_FORGOTTEN) return true;
        after = next;
      } while (after !== undefined);
    }
    return true;
  }

  /** What stands under the field, or nothing, unless it is a record that has the link. As bytes: it may be no text. */
  async #unlessConfirmed(accountId: string, field: string, link: string): Promise<Buffer | undefined> {
    const place = { name: iamAt(accountId)[0], field };
    const stored = (await this.#redis.fieldBytes(place.name, field).catch(unlessDamaged)) ?? Buffer.of();
    const record = await this.#macs.verified(place, storedText(place, stored)).catch(unlessDamaged);
    return record !== undefined && hasLink(record, link) ? undefined : stored;
  }

  async list<K extends IamKind>(accountId: string, kind: K, limit: number, after?: string): Promise<Page<RecordOf<K>>> {
    const [, names] = iamAt(accountId);
    const prefix = kindPrefixOf(kind);
    const page = await this.#range(names, prefix, limit, after);
    return this.#recordsOf(accountId, page, (name) => [kind, name]) as Promise<Page<RecordOf<K>>>;
  }

  async listLinked(accountId: string, prefix: string, limit: number, after?: string): Promise<Page<IamRecord>> {
    const { items, ...rest } = await this.listLinks(accountId, prefix, limit, after);
    const page = { items: items.filter((field) => isField.test(field)), ...rest };
    return this.#recordsOf(accountId, page, (field) => field.split('/') as [IamKind, string]);
  }

  /**
   * The records that a page names, a few at a time and without those removed meanwhile. The page ends early once they
   * are long.
   */
  async #recordsOf(
    accountId: string,
    { items: names, next }: Page<string>,
    placeOf: (name: string) => readonly [kind: IamKind, name: string],
  ): Promise<Page<IamRecord>> {
    const items: IamRecord[] = [];
    let length = 0;
    for (let at = 0; at < names.length; at += READ_AT_ONCE) {
      if (length >= MAX_PAGE_LENGTH) return { items, next: names[at - 1]! };
      const found = await this.#readAll(accountId, names.slice(at, at + READ_AT_ONCE).map(placeOf));
      length += found.length + PRINCIPAL_LENGTH * principalsIn(found.records);
      items.push(...found.records);
    }
    return next === undefined ? { items } : { items, next };
  }

  async #readAll(
    accountId: string,
    places: readonly (readonly [kind: IamKind, name: string])[],
  ): Promise<{ readonly records: readonly IamRecord[]; readonly length: number }> {
    const [name] = iamAt(accountId);
    const fields = places.map(([kind, one]) => iamFieldOf(kind, one));
    const assertNotOlder = this.#acknowledged.beginRead();
    const texts = await this.#redis.eachField(name, fields);
    const lengths = texts.map((text) => (typeof text === 'string' ? text.length : 0));
    for (const length of lengths) this.#onRead?.(length);
    const read = await Promise.allSettled(
      texts.flatMap((text, i) =>
        text === undefined ? [] : [this.#read(accountId, places[i]![0], { field: fields[i]!, text, assertNotOlder })],
      ),
    );
    // What is not authentic is nobody, and hides none of the others: the doctor names it.
    const records = read.flatMap((one) =>
      one.status === 'fulfilled' ? [one.value] : (unlessDamaged(one.reason) ?? []),
    );
    return { records, length: lengths.reduce((sum, length) => sum + length, 0) };
  }

  async #read<K extends IamKind>(
    accountId: string,
    kind: K,
    {
      field,
      text,
      assertNotOlder,
    }: { field: string; text: string | DamagedValueError; assertNotOlder: ReturnType<Acknowledged['beginRead']> },
  ): Promise<RecordOf<K>> {
    const [name] = iamAt(accountId);
    const record = decodeIamRecord(await this.#macs.verified({ name, field }, text), { accountId, kind });
    assertNotOlder(iamRecordName(record), record.revision);
    return record;
  }

  #textOf(record: IamRecord): Promise<AuthenticRecord> {
    return this.#macs.withMac(iamPlace(record.accountId, record.kind, record.name), encodeIamRecord(record));
  }

  count(accountId: string, kind: IamKind): Promise<number> {
    const [, names] = iamAt(accountId);
    return this.#count(names, kindPrefixOf(kind));
  }

  #count(list: string, prefix: string): Promise<number> {
    const [from, to] = rangeOf(prefix);
    return this.#redis.about(list, (client) => client.zlexcount(list, from, to));
  }

  listLinks(accountId: string, prefix: string, limit: number, after?: string): Promise<Page<string>> {
    const [, , links] = iamAt(accountId);
    return this.#range(links, prefix, limit, after);
  }

  countLinks(accountId: string, prefix: string): Promise<number> {
    const [, , links] = iamAt(accountId);
    return this.#count(links, prefix);
  }

  /** The rest after `prefix` of each member of a sorted set. */
  async #range(list: string, prefix: string, limit: number, after?: string): Promise<Page<string>> {
    const [first, to] = rangeOf(prefix);
    const from = after === undefined ? first : `(${prefix}${after}`;
    const members = await this.#redis.entries(list, { from, to, limit: limit + 1 });
    this.#onRead?.(members.join('').length);
    const items = members.slice(0, limit).map((member) => member.slice(prefix.length));
    const last = items.at(-1);
    return members.length > limit && last !== undefined ? { items, next: last } : { items };
  }
}

/** Whoever has the record key may have written what is no record. */
function hasLink(record: string, link: string): boolean {
  try {
    return iamLinksOf(JSON.parse(record)).includes(link);
  } catch {
    return false;
  }
}

function fieldOf({ kind, name }: IamRecord): string {
  return iamFieldOf(kind, name);
}

/** What records may be called is not told here, only what else somebody may have put into a list. */
const isField = /^(?:user|role|group|policy)\/[^/]+$/;

function kindPrefixOf(kind: IamKind): string {
  return `${kind}/`;
}

/** `prefix` ends in a slash, and '0' is the next character after it. */
function rangeOf(prefix: string): [string, string] {
  return [`[${prefix}`, `(${prefix.slice(0, -1)}0`];
}

function principalsIn(records: readonly IamRecord[]): number {
  const named = records.map((record) =>
    record.kind === 'role' ? Object.keys(record.trustPrincipals ?? {}).length : 0,
  );
  return named.reduce((sum, count) => sum + count, 0);
}
