import type { RedisClient } from '@keyfleet/shared/redis/connect';
import { pageOfFields } from '@keyfleet/shared/redis/stored-values';
import { dueShardOf, restoredEntryOf } from '@keyfleet/shared/stored/due-entries';
import { type GrantedKey, grantsAt } from '@keyfleet/shared/stored/grants';
import { aliasesAt, dueAt, iamAt, keyAt, type Scope } from '@keyfleet/shared/stored/names';
import { z } from 'zod';
import { CliError } from '../cli-error.ts';
import { keptIn } from '../left-out.ts';
import { HASH_PIECE } from './format.ts';
import { AliasRecord, KeyRecord, type ListEntry, listEntriesOf } from '../list-entries.ts';
import { dueEntryIn, parseRecord } from './sound.ts';

/** Of a megabyte each. */
const LONG_RECORDS = 64;
/** List members added by one command: in the tree of a large list each takes a microsecond or two. */
const AT_ONCE = 250;
/** IAM records of an account of which the unique ids are compared: more than its quotas allow. */
const MOST_FOLLOWED = 20_000;
/** ECMA-262, 21.4.1.1. */
const MAX_DATE = 8.64e15;

const IamVersion = z.object({ id: z.string(), revision: z.int() });
type IamVersion = z.output<typeof IamVersion>;

/**
 * Builds the lists derived from key records, aliases and IAM records, which are those of `soundPieces`. A backup is
 * taken while the service runs: lists read at another moment than their contents would name missing keys, forget
 * deletions, and give aliases to other keys.
 */
export class DerivedLists {
  readonly #redis: RedisClient;
  readonly #dangling: string[] = [];
  readonly #leaveOut = keptIn(this.#dangling);
  readonly #renamed: string[] = [];
  readonly #tellRenamed = keptIn(this.#renamed);
  readonly #deletesFrom: number;
  readonly #pendingDeletion: string[] = [];
  readonly #tellPending = keptIn(this.#pendingDeletion);

  /** `deletesFrom`: before that, frontends delete no key. Milliseconds since the epoch. */
  constructor(redis: RedisClient, deletesFrom: number) {
    this.#redis = redis;
    this.#deletesFrom = deletesFrom;
  }

  /** Keys that are pending deletion with a date before `deletesFrom`. */
  get pendingDeletion(): readonly string[] {
    return this.#pendingDeletion;
  }

  /**
   * Names of aliases, and of keys' grants, whose key is not in the backup because it was deleted during the backup.
   * They are left out.
   */
  get dangling(): readonly string[] {
    return this.#dangling;
  }

  /**
   * Names of users and groups that were renamed during the backup, which has them under the new one as well. They are
   * left out.
   */
  get renamed(): readonly string[] {
    return this.#renamed;
  }

  /** Adds keys to the lists, given their records. */
  async addKeys(records: readonly string[]): Promise<void> {
    const members = new ListMembers();
    for (const record of records) {
      const key = KeyRecord.parse(JSON.parse(record));
      members.add(...listEntriesOf({ name: keyAt(key.region, key.keyId), field: 'record' }, record));
      for (const entry of [dueEntryIn(key), restoredEntryOf(key)])
        if (entry !== undefined) members.add({ list: dueAt(dueShardOf(key)), entry });
      const { state, deletionDate = Infinity } = key;
      if (state === 'PendingDeletion' && deletionDate < this.#deletesFrom)
        this.#tellPending(`${key.region}/${key.keyId} of account ${key.accountId}, ${dateText(deletionDate)}`);
    }
    await members.write(this.#redis);
  }

  /** Adds all aliases of an account's Region to its lists. The keys must already exist. */
  async addAliases(scope: Scope): Promise<void> {
    const [aliases] = aliasesAt(scope);
    for await (const fields of this.#pagesOf(aliases, HASH_PIECE)) {
      const found = fields.map(([name, text]) => ({ name, text, target: targetOf(text) }));
      const there = await this.#existing(scope.region, new Set(found.map(({ target }) => target)));
      const members = new ListMembers();
      const dangling = found.filter(({ target }) => !there.has(target)).map(({ name }) => name);
      for (const { name, text } of found.filter((alias) => there.has(alias.target)))
        members.add(...listEntriesOf({ name: aliases, field: name }, text));
      if (dangling.length > 0) await this.#redis.hdel(aliases, ...dangling);
      dangling.forEach(this.#leaveOut);
      await members.write(this.#redis);
    }
  }

  /**
   * Adds all grants of a key to its index and to the lists of who may retire them; without the key they are left out.
   */
  async addGrants(key: GrantedKey): Promise<void> {
    const [grants] = grantsAt(key);
    if ((await this.#redis.exists(keyAt(key.region, key.keyId))) === 0) {
      await this.#redis.unlink(grants);
      this.#leaveOut(grants);
      return;
    }
    for await (const fields of this.#pagesOf(grants, LONG_RECORDS)) {
      const members = new ListMembers();
      for (const [field, text] of fields) members.add(...listEntriesOf({ name: grants, field }, text));
      await members.write(this.#redis);
    }
  }

  /** Adds an account's users, roles, groups and policies to its lists, but for what is left of a former name. */
  async addIamRecords(accountId: string): Promise<void> {
    const [records] = iamAt(accountId);
    await this.#removeFormer(records, accountId);
    for await (const fields of this.#pagesOf(records, LONG_RECORDS)) {
      const members = new ListMembers();
      for (const [field, text] of fields) members.add(...listEntriesOf({ name: records, field }, text));
      await members.write(this.#redis);
    }
  }

  /** Of records with one unique id, those of which another has a higher revision. */
  async #removeFormer(records: string, accountId: string): Promise<void> {
    // More are no account's, and would fill memory.
    if ((await this.#redis.hlen(records)) > MOST_FOLLOWED) return;
    const newest = new Map<string, IamVersion & { readonly field: string }>();
    const former = new Map<string, string>();
    for await (const fields of this.#pagesOf(records, LONG_RECORDS)) {
      for (const [field, text] of fields) {
        const version = parseRecord(IamVersion, text);
        if (version === undefined) continue;
        const found = { ...version, field };
        const known = newest.get(version.id);
        const [older, newer] = known && known.revision >= found.revision ? [found, known] : [known, found];
        newest.set(version.id, newer);
        if (older !== undefined && older.revision < newer.revision) former.set(older.field, version.id);
      }
    }
    for (const [field, id] of former)
      this.#tellRenamed(`${field} of account ${accountId}: now ${newest.get(id)!.field}`);
    if (former.size > 0) await this.#redis.hdel(records, ...former.keys());
  }

  /** Of a hash that the restore wrote. What somebody put there meanwhile, and is too long, comes into no list. */
  async *#pagesOf(name: string, count: number): AsyncGenerator<(readonly [field: string, text: string])[]> {
    let cursor = '0';
    do {
      const page = await pageOfFields(this.#redis, name, { cursor, count });
      yield page.fields.map(([field, value]) => [field, value.toString()] as const);
      ({ cursor } = page);
    } while (cursor !== '0');
  }

  async #existing(region: string, keyIds: ReadonlySet<string>): Promise<Set<string>> {
    const all = [...keyIds];
    const exist = await Promise.all(all.map((keyId) => this.#redis.exists(keyAt(region, keyId))));
    return new Set(all.filter((_, i) => exist[i] === 1));
  }
}

/** Whoever wrote the record may have left any number there. */
function dateText(date: number): string {
  return Math.abs(date) <= MAX_DATE ? new Date(date).toISOString() : String(date);
}

function targetOf(text: string): string {
  return AliasRecord.parse(JSON.parse(text)).targetKeyId;
}

/** New members of lists, which are sorted sets without scores. */
class ListMembers {
  readonly #lists = new Map<string, string[]>();

  add(...entries: readonly ListEntry[]): void {
    for (const { list, entry } of entries) this.#lists.getOrInsertComputed(list, () => []).push(entry);
  }

  /** Throws CliError unless all are there afterwards. */
  async write(redis: RedisClient): Promise<void> {
    const written = [...this.#lists].flatMap(([list, members]) =>
      Array.from({ length: Math.ceil(members.length / AT_ONCE) }, (_, slice) =>
        addToList(redis, list, members.slice(slice * AT_ONCE, (slice + 1) * AT_ONCE)),
      ),
    );
    await Promise.all(written);
  }
}

async function addToList(redis: RedisClient, list: string, members: readonly string[]): Promise<void> {
  await redis.zadd(list, ...members.flatMap((member) => [0, member]));
  const scores = await redis.zmscore(list, ...members);
  if (scores.includes(null)) throw new CliError(`${list} does not match what was written.`);
}
