import { accessKeyAt, accessKeyUseAt, firstAccessKeyAt, firstAccessKeyIn } from '@keyfleet/shared/stored/names';
import type { Acknowledged } from './acknowledged.ts';
import { accessKeyName } from './change-feed.ts';
import type { AuthenticRecord } from './record-mac.ts';
import type { RecordMacs } from './record-macs.ts';
import { accessKeyPlace, accessKeyUsePlace } from './record-places.ts';
import {
  accessKeyRevision,
  damagedRecord,
  decodeAccessKey,
  decodeAccessKeyUse,
  encodeAccessKey,
  encodeAccessKeyUse,
} from './records.ts';
import type { RedisCalls } from './redis-calls.ts';
import {
  type AccessKeyRecord,
  type AccessKeyUse,
  type AccessKeyUseStore,
  ConflictError,
  type IdentityStore,
} from './store.ts';

export interface RedisAccessKeysDeps {
  readonly calls: RedisCalls;
  readonly macs: RecordMacs;
  readonly acknowledged: Acknowledged;
}

/** Access keys, when each was last used, and which of an account was the first. */
export class RedisAccessKeys implements IdentityStore, AccessKeyUseStore {
  readonly #redis: RedisCalls;
  readonly #macs: RecordMacs;
  readonly #acknowledged: Acknowledged;

  constructor({ calls, macs, acknowledged }: RedisAccessKeysDeps) {
    this.#redis = calls;
    this.#macs = macs;
    this.#acknowledged = acknowledged;
  }

  async findAccessKey(accessKeyId: string): Promise<AccessKeyRecord | undefined> {
    const assertNotOlder = this.#acknowledged.beginRead();
    const text = await this.#redis.text(accessKeyAt(accessKeyId));
    if (text === undefined) return undefined;
    const record = await this.#readAccessKey(text, accessKeyId);
    assertNotOlder(accessKeyName(accessKeyId), accessKeyRevision(record));
    return record;
  }

  async #readAccessKey(stored: string, accessKeyId: string): Promise<AccessKeyRecord> {
    return decodeAccessKey(await this.#macs.verified(accessKeyPlace(accessKeyId), stored), accessKeyId);
  }

  #textOfAccessKey(record: AccessKeyRecord): Promise<AuthenticRecord> {
    return this.#macs.withMac(accessKeyPlace(record.accessKeyId), encodeAccessKey(record));
  }

  async insertAccessKey(record: AccessKeyRecord): Promise<void> {
    const { accessKeyId } = record;
    const text = await this.#textOfAccessKey(record);
    if ((await this.#redis.script('kfInsertValue', accessKeyAt(accessKeyId), text)) !== 1)
      throw new ConflictError(`access key ${accessKeyId} exists`);
  }

  async deleteAccessKey(accessKeyId: string): Promise<void> {
    await this.#redis.write('unlink', accessKeyAt(accessKeyId), accessKeyUseAt(accessKeyId));
    this.#acknowledged.removed(accessKeyName(accessKeyId));
  }

  async forgetPolicies(accessKeyId: string): Promise<void> {
    const place = accessKeyPlace(accessKeyId);
    const stored = await this.#redis.text(place.name);
    if (stored === undefined) return;
    const record = { ...(await this.#readAccessKey(stored, accessKeyId)), policies: [] };
    // If resealing is faster, this is done the next time.
    const done = await this.#redis.script('kfReplaceValue', place.name, stored, await this.#textOfAccessKey(record));
    if (done === 1) this.#acknowledged.written(accessKeyName(accessKeyId), accessKeyRevision(record));
  }

  async findAccessKeyUse(accessKeyId: string): Promise<AccessKeyUse | undefined> {
    const place = accessKeyUsePlace(accessKeyId);
    const stored = await this.#redis.text(place.name);
    return stored === undefined ? undefined : decodeAccessKeyUse(await this.#macs.verified(place, stored), accessKeyId);
  }

  async keepAccessKeyUse(accessKeyId: string, use: AccessKeyUse): Promise<void> {
    const place = accessKeyUsePlace(accessKeyId);
    const text = await this.#macs.withMac(place, encodeAccessKeyUse(use));
    await this.#redis.scriptUndurably('kfKeepAccessKeyUse', accessKeyAt(accessKeyId), place.name, use.usedAt, text);
  }

  async hasAccount(accountId: string): Promise<boolean> {
    return (await this.#redis.read((client) => client.exists(firstAccessKeyAt(accountId)))) === 1;
  }

  async findFirstAccessKey(accountId: string): Promise<AccessKeyRecord | undefined> {
    const claim = await this.#redis.text(firstAccessKeyAt(accountId));
    if (claim === undefined) return undefined;
    const { accessKeyId, record: text } = firstAccessKeyIn(claim);
    if (text === undefined) return this.findAccessKey(accessKeyId);
    // Whoever claimed the place died before its access key was stored.
    const record = await this.#readAccessKey(text, accessKeyId);
    if (record.accountId !== accountId)
      throw damagedRecord(`the first access key of ${accountId}`, 'it is of another account');
    await this.#storeFirst(record);
    return record;
  }

  async insertFirstAccessKey(record: AccessKeyRecord): Promise<boolean> {
    const { accountId, accessKeyId } = record;
    // This single write decides, and it holds everything needed to continue after a crash. Whoever comes second has
    // stored nothing.
    const { text, keyNumber } = await this.#textOfAccessKey(record);
    const claim = { text: `${accessKeyId} ${text}`, keyNumber };
    if ((await this.#redis.script('kfInsertValue', firstAccessKeyAt(accountId), claim)) !== 1) return false;
    await this.#storeFirst(record);
    return true;
  }

  async #storeFirst(record: AccessKeyRecord): Promise<void> {
    const { accountId, accessKeyId } = record;
    await this.#redis.script('kfInsertValue', accessKeyAt(accessKeyId), await this.#textOfAccessKey(record));
    await this.#redis.write('set', firstAccessKeyAt(accountId), accessKeyId);
  }
}
