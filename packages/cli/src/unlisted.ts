import { setTimeout as delay } from 'node:timers/promises';
import type { RecordPlace } from '@keyfleet/frontend/store/record-mac';
import type { RedisClient } from '@keyfleet/shared/redis/connect';
import { isOfOtherType, readFields, readString, unlessDamaged } from '@keyfleet/shared/redis/stored-values';
import { firstAccessKeyAt, iamAt, isOfKind } from '@keyfleet/shared/stored/names';
import { z } from 'zod';
import { type ListEntry, listEntriesOf } from './list-entries.ts';

/** What a list may lack for a moment, while a record is written, it has by then. */
const WRITTEN_MS = 2_000;
/** A list that is gone is told by some of what it lacks. */
const MOST = 1_000;

export interface ReadRecord {
  readonly place: RecordPlace;
  /** As it stood there. */
  readonly stored: string;
  /** Without its MAC. */
  readonly record: string;
}

type Missing = Pick<ReadRecord, 'place' | 'stored'> & ListEntry;

/**
 * Finds records that are in force and that no list shows, because somebody who wrote Redis took them out of it: people
 * who look for what he made do not see them.
 */
export class Unlisted {
  readonly #redis: RedisClient;
  readonly #missing: Missing[] = [];
  readonly #unknown: string[] = [];

  constructor(redis: RedisClient) {
    this.#redis = redis;
  }

  /** `records`: authentic ones. */
  async look(records: readonly ReadRecord[]): Promise<void> {
    const wanted = (await Promise.all(records.map((one) => this.#entriesOf(one)))).flat();
    const byList = Map.groupBy(wanted, ({ list }) => list);
    const lacking = await Promise.all([...byList.values()].map((entries) => this.#lacking(entries)));
    this.#missing.push(...lacking.flat().slice(0, MOST - this.#missing.length));
  }

  /** What people should be told, one for each record. */
  async problems(): Promise<string[]> {
    if (this.#missing.length === 0) return this.#unknown;
    await delay(WRITTEN_MS);
    const still = await Promise.all(this.#missing.map((one) => this.#isStillMissing(one)));
    const lists = Map.groupBy(
      this.#missing.filter((_, i) => still[i]),
      ({ place }) => nameOf(place),
    );
    return [...this.#unknown, ...[...lists].map(([name, missing]) => unlisted(name, missing[0]!.list))];
  }

  async #entriesOf({ place, stored, record }: ReadRecord): Promise<Missing[]> {
    try {
      if (isOfKind(place.name, 'accessKey')) {
        await this.#lookAtAccessKey(place.name, AccessKey.parse(JSON.parse(record)));
      }
      // Grants of older releases get entries by what they allow when somebody looks.
      const entries = listEntriesOf(place, record).filter(({ entry }) => !/^allow(?:s|ed) /.test(entry));
      return entries.map((entry) => ({ place, stored, ...entry }));
    } catch (error) {
      if (!(error instanceof z.ZodError || error instanceof SyntaxError || error instanceof TypeError)) throw error;
      // Whoever has the record key may write anything under it.
      if (this.#unknown.length < MOST) this.#unknown.push(unknown(nameOf(place)));
      return [];
    }
  }

  /**
   * One that has policies of its own needs no user: the first use makes one. An account begins so; one that has users
   * by now needs no other administrator, whom nobody sees.
   */
  async #lookAtAccessKey(name: string, { accountId, accessKeyId, principal, policies }: AccessKey): Promise<void> {
    if (policies.length === 0) return;
    const first = await readString(this.#redis, firstAccessKeyAt(accountId)).catch(unlessDamaged);
    const isFirst = first?.toString().split(' ')[0] === accessKeyId;
    if (isFirst && (await this.#redis.exists(iamAt(accountId)[0])) === 0) return;
    if (this.#unknown.length < MOST) this.#unknown.push(unused(name, principal));
  }

  /** All of one list. */
  async #lacking(entries: readonly Missing[]): Promise<Missing[]> {
    const { list } = entries[0]!;
    try {
      const scores = await this.#redis.zmscore(list, ...entries.map(({ entry }) => entry));
      // With another score a range of the list does not find it.
      return entries.filter((_, i) => Number(scores[i] ?? NaN) !== 0);
    } catch (error) {
      if (isOfOtherType(error)) return [...entries];
      throw error;
    }
  }

  async #isStillMissing(one: Missing): Promise<boolean> {
    const { name, field } = one.place;
    const read = field === undefined ? readString(this.#redis, name) : readField(this.#redis, name, field);
    const stored = await read.catch(unlessDamaged);
    if (stored?.toString() !== one.stored) return false;
    // The first release had one list for all keys of an account and Region.
    const lists = [one.list, one.list.replace(/^(kf:keys:\{[^}]*)\/\d+\}$/, '$1}')];
    const lacking = await Promise.all(lists.map((list) => this.#lacking([{ ...one, list }])));
    return lacking.every(({ length }) => length > 0);
  }
}

async function readField(redis: RedisClient, name: string, field: string): Promise<Buffer | undefined> {
  const [value] = await readFields(redis, name, [field]);
  return value;
}

const AccessKey = z.object({
  accountId: z.string(),
  principal: z.string(),
  accessKeyId: z.string(),
  policies: z.array(z.string()).default([]),
});

type AccessKey = z.output<typeof AccessKey>;

function unused(name: string, principal: string): string {
  return `${name} has policies of its own, for ${principal}, and was never used, so that no list shows it: delete it if you do not know it; otherwise use it once`;
}

function nameOf({ name, field }: RecordPlace): string {
  return field === undefined || field === 'record' ? name : `${name} ${field}`;
}

function unknown(name: string): string {
  return `${name} is authentic, and no record of this release: whoever wrote it had the record key. Delete it, or restore it from a backup (docs/recovery.md)`;
}

function unlisted(name: string, list: string): string {
  return `${name} is in force, and ${list} lacks it, so that no list shows it: delete it if you do not know it; otherwise a backup and its restore list it again (docs/recovery.md)`;
}
