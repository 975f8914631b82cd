import { iamFieldOf, iamLinksOf } from '@keyfleet/shared/stored/iam';
import { pageOf } from '../store/page.ts';
import { ConflictError, type Page } from '../store/store.ts';
import type { IamStore, InsertOutcome, UpdateOutcome } from './iam-store.ts';
import type { IamKind, IamRecord, RecordOf } from './iam-records.ts';

/** IAM records in memory: for tests, and as the reference for the Redis store. */
export class MemoryIamStore implements IamStore {
  readonly #records = new Map<string, IamRecord>();

  async find<K extends IamKind>(accountId: string, kind: K, name: string): Promise<RecordOf<K> | undefined> {
    return this.#records.get(`${accountId}/${iamFieldOf(kind, name)}`) as RecordOf<K> | undefined;
  }

  async insert(record: IamRecord, quota: number): Promise<InsertOutcome> {
    if (this.#records.has(placeOf(record))) return 'taken';
    if (this.#of(record.accountId, record.kind).length >= quota) return 'full';
    if (!this.#hasAll(record)) return 'missing';
    this.#records.set(placeOf(record), structuredClone(record));
    return 'done';
  }

  async update(before: IamRecord, record: IamRecord): Promise<UpdateOutcome> {
    this.#assertNewest(before);
    if (!this.#hasAll(record)) return 'missing';
    if (placeOf(record) !== placeOf(before) && this.#records.has(placeOf(record))) return 'taken';
    this.#records.delete(placeOf(before));
    this.#records.set(placeOf(record), structuredClone({ ...record, revision: before.revision + 1 }));
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

  #of(accountId: string, kind: IamKind): IamRecord[] {
    return [...this.#records.values()].filter((record) => record.accountId === accountId && record.kind === kind);
  }

  #linksOf(accountId: string): string[] {
    const records = [...this.#records.values()].filter((record) => record.accountId === accountId);
    return records.flatMap((record) => [...iamLinksOf(record)]);
  }

  #hasAll(record: IamRecord): boolean {
    const targets = iamLinksOf(record).map(targetOf);
    return targets.every(
      (field) => /^a(?:ws-policy|ccess-key)\//.test(field) || this.#records.has(`${record.accountId}/${field}`),
    );
  }

  #assertNewest(record: IamRecord): void {
    if (this.#records.get(placeOf(record))?.revision === record.revision) return;
    throw new ConflictError(`${placeOf(record)} has changed`);
  }
}

function placeOf({ accountId, kind, name }: IamRecord): string {
  return `${accountId}/${iamFieldOf(kind, name)}`;
}

/** `<how>/<kind>/<name>/<kind>/<name>`. */
function targetOf(link: string): string {
  return link.split('/').slice(1, 3).join('/');
}
