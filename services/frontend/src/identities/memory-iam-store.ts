import { iamFieldOf, iamLinksOf } from '@keyfleet/shared/stored/iam';
import { ConflictError, type Page, pageOf } from '../store/store.ts';
import type { IamChange, IamStore, InsertOutcome, UpdateOutcome } from './iam-store.ts';
import type { IamKind, IamRecord, RecordOf } from './iam-records.ts';

/** IAM records in memory: for tests, and as the reference for the Redis store. */
export class MemoryIamStore implements IamStore {
  #records = new Map<string, IamRecord>();

  async find<K extends IamKind>(accountId: string, kind: K, name: string): Promise<RecordOf<K> | undefined> {
    return this.#records.get(`${accountId}/${iamFieldOf(kind, name)}`) as RecordOf<K> | undefined;
  }

  async insert(record: IamRecord, quota: number): Promise<InsertOutcome> {
    if (this.#records.has(placeOf(record))) return 'taken';
    if (this.#of(record.accountId, record.kind).length >= quota) return 'full';
    if (!hasAll(this.#records, record)) return 'missing';
    this.#records.set(placeOf(record), structuredClone(record));
    return 'done';
  }

  async update(...changes: readonly IamChange[]): Promise<UpdateOutcome> {
    for (const { before } of changes) this.#assertNewest(before);
    const others = new Map(this.#records);
    for (const { before } of changes) others.delete(placeOf(before));
    if (changes.some(({ record }) => others.has(placeOf(record)))) return 'taken';
    const records = new Map(others);
    for (const { before, record } of changes) {
      records.set(placeOf(record), structuredClone({ ...record, revision: before.revision + 1 }));
    }
    if (!changes.every(({ record }) => hasAll(records, record))) return 'missing';
    if (![...others.values()].every((record) => hasAll(records, record))) throw new ConflictError('others refer to it');
    this.#records = records;
    return 'done';
  }

  async remove(record: IamRecord): Promise<'done' | 'linked'> {
    this.#assertNewest(record);
    if (this.#linksOf(record.accountId).some((link) => targetOf(link) === iamFieldOf(record.kind, record.name))) {
      return 'linked';
    }
    this.#records.delete(placeOf(record));
    return 'done';
  }

  async list<K extends IamKind>(accountId: string, kind: K, limit: number, after = ''): Promise<Page<RecordOf<K>>> {
    const nameOf = ({ name }: IamRecord): string => name.toLowerCase();
    return pageOf(this.#of(accountId, kind), { nameOf, limit, after }) as Page<RecordOf<K>>;
  }

  async count(accountId: string, kind: IamKind): Promise<number> {
    return this.#of(accountId, kind).length;
  }

  async listLinks(accountId: string, prefix: string, limit: number, after = ''): Promise<Page<string>> {
    const found = this.#linksOf(accountId).filter((link) => link.startsWith(prefix));
    return pageOf(
      found.map((link) => link.slice(prefix.length)),
      { nameOf: (link) => link, limit, after },
    );
  }

  async countLinks(accountId: string, prefix: string): Promise<number> {
    return this.#linksOf(accountId).filter((link) => link.startsWith(prefix)).length;
  }

  async listLinked(accountId: string, prefix: string, limit: number, after?: string): Promise<Page<IamRecord>> {
    const { items, ...rest } = await this.listLinks(accountId, prefix, limit, after);
    return { items: items.map((field) => this.#records.get(`${accountId}/${field}`)!), ...rest };
  }

  #of(accountId: string, kind: IamKind): IamRecord[] {
    return [...this.#records.values()].filter((record) => record.accountId === accountId && record.kind === kind);
  }

  #linksOf(accountId: string): string[] {
    const records = [...this.#records.values()].filter((record) => record.accountId === accountId);
    return records.flatMap((record) => [...iamLinksOf(record)]);
  }

  #assertNewest(record: IamRecord): void {
    const there = this.#records.get(placeOf(record));
    if (there?.id === record.id && there.revision === record.revision) return;
    throw new ConflictError(`${placeOf(record)} has changed`);
  }
}

/** Whether all is there that a record refers to. */
function hasAll(records: ReadonlyMap<string, IamRecord>, record: IamRecord): boolean {
  const targets = iamLinksOf(record).map(targetOf);
  return targets.every(
    (field) => /^a(?:ws-policy|ccess-key)\//.test(field) || records.has(`${record.accountId}/${field}`),
  );
}

function placeOf({ accountId, kind, name }: IamRecord): string {
  return `${accountId}/${iamFieldOf(kind, name)}`;
}

/** `<how>/<kind>/<name>/<kind>/<name>`. */
function targetOf(link: string): string {
  return link.split('/').slice(1, 3).join('/');
}
