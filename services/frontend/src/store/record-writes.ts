import { randomBytes } from 'node:crypto';
import type { Clock } from '@keyfleet/shared/clock';
import { dueDateOf, dueEntryOf, dueShardOf } from '@keyfleet/shared/stored/due-entries';
import { CHANGES, dueAt, eventsAt, keyAt } from '@keyfleet/shared/stored/names';
import { keyName } from './change-feed.ts';
import type { AuthenticRecord } from './record-mac.ts';
import type { RedisCalls } from './redis-calls.ts';
import type { ClaimedEvent } from './store.ts';

/** A due entry is examined this long after it was written, when its record has been stored or never will be. */
const STORED_MS = 10_000;

type RecordName = Parameters<typeof dueEntryOf>[0];
/** A key's new record: what gives its dates, and its JSON. */
export interface NewRecord {
  readonly key: RecordName & Parameters<typeof dueDateOf>[0] & { readonly revision: number };
  readonly json: AuthenticRecord;
}

/** What is to be recorded of a write, as it shall be. */
type NewEvent = Omit<ClaimedEvent, 'text'> & { readonly text: AuthenticRecord };

/**
 * Writes key records together with their due entries. The entry is written before the record: a surplus entry is
 * removed when its time comes, but a missing one would never be noticed. The write removes the record's previous entry.
 */
export class RecordWrites {
  readonly #redis: RedisCalls;
  readonly #clock: Clock;

  constructor(redis: RedisCalls, clock: Clock) {
    this.#redis = redis;
    this.#clock = clock;
  }

  /** False if a record already exists, or the deletion of an earlier one is not finished. */
  async insert({ key, json }: NewRecord): Promise<boolean> {
    const { region, keyId, revision } = key;
    const due = await this.#addDue(key);
    const keys = [keyAt(region, keyId), eventsAt(region, keyId)] as const;
    const inserted = await this.#redis.script('kfInsertRecord', ...keys, json, due, revision);
    if (inserted !== 1) await this.#removeDue(key, due);
    return inserted === 1;
  }

  /**
   * False if the record is no longer at `revision`. An event that is not recorded in time is recorded by whoever finds
   * its entry.
   */
  async update(revision: number, { key, json }: NewRecord, event?: NewEvent): Promise<boolean> {
    const { region, keyId } = key;
    if (event !== undefined) await this.addEventEntry(key, event);
    const due = await this.#addDue(key);
    const keys = [keyAt(region, keyId), eventsAt(region, keyId)] as const;
    const change = [CHANGES, keyName(region, keyId)] as const;
    const told = event === undefined ? [] : [event.id, event.text, event.until];
    const before = await this.#redis.script('kfUpdateRecord', ...keys, revision, json, due, ...change, ...told);
    const updated = typeof before === 'string';
    await this.#removeDue(key, updated ? before : due);
    if (!updated && event !== undefined) await this.removeEventEntry(key, event);
    return updated;
  }

  async addEventEntry(key: RecordName, event: Pick<ClaimedEvent, 'id' | 'until'>): Promise<void> {
    await this.#redis.write('zadd', dueAt(dueShardOf(key)), 0, eventEntryOf(key, event));
  }

  async removeEventEntry(
    key: RecordName,
    { id, until }: Pick<ClaimedEvent, 'id'> & Partial<Pick<ClaimedEvent, 'until'>>,
  ): Promise<void> {
    if (until !== undefined) await this.#removeDue(key, eventEntryOf(key, { id, until }));
  }

  /** Returns '' for a key that has no date. */
  async #addDue(key: NewRecord['key']): Promise<string> {
    const dueDate = dueDateOf(key);
    if (dueDate === undefined) return '';
    const date = Math.max(dueDate, this.#clock.now() + STORED_MS);
    const entry = dueEntryOf(key, date, randomBytes(6).toString('base64url'));
    await this.#redis.write('zadd', dueAt(dueShardOf(key)), 0, entry);
    return entry;
  }

  async #removeDue(key: RecordName, entry: string): Promise<void> {
    if (entry !== '') await this.#redis.read((client) => client.zrem(dueAt(dueShardOf(key)), entry));
  }
}

/** The entry becomes due when the claim on the event expires. */
export function eventEntryOf(key: RecordName, { id, until }: Pick<ClaimedEvent, 'id' | 'until'>): string {
  return dueEntryOf(key, until, id);
}
