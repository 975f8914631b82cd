import type { DomainState } from '@keyfleet/shared/domain/state';
import { fewAtOnce } from '@keyfleet/shared/few-at-once';
import { accessKeyIdOf } from '@keyfleet/shared/hsm/exported-key-token';
import { isFleetSecret } from '@keyfleet/shared/hsm/fleet-secret';
import { RECORDS_AT_ONCE, unlessDamaged } from '@keyfleet/shared/redis/stored-values';
import { CHANGES, firstAccessKeyIn, keyStoresAt, scopeOf, storedNameOf } from '@keyfleet/shared/stored/names';
import { tokenOfStore, withToken } from '../key-stores/key-store.ts';
import { decodeKeyStores, encodeKeyStores, keyStoresPlace } from '../key-stores/records.ts';
import type { Acknowledged } from '../store/acknowledged.ts';
import { accessKeyName, keyName, keyStoresName } from '../store/change-feed.ts';
import { splitOldKeyList } from '../store/key-lists.ts';
import { assertSealedAsNamed } from '../store/fleet-key.ts';
import type { AuthenticRecord } from '../store/record-mac.ts';
import { recordKeyNumberOf } from '../store/record-key.ts';
import type { FleetRecordKeys } from '../store/record-keys.ts';
import type { RecordMacs } from '../store/record-macs.ts';
import { accessKeyPlace } from '../store/record-places.ts';
import type { RecordWrites } from '../store/record-writes.ts';
import { accessKeyRevision, decodeAccessKey, encodeAccessKey } from '../store/records.ts';
import type { RedisCalls } from '../store/redis-calls.ts';
import { sealedPartOfKey } from '../store/sealed-part.ts';
import { DamagedRecordError } from '../store/store.ts';
import type { SealedRecord, SealedRecords } from './resealer.ts';

interface Deps {
  readonly calls: RedisCalls;
  readonly macs: RecordMacs;
  readonly keys: RecordWrites;
  /** What somebody put back is not carried along, and no older revision of a key's record becomes the newest. */
  readonly acknowledged: Pick<Acknowledged, 'beginRead'>;
  readonly recordKeys: Pick<FleetRecordKeys, 'uses'>;
  readonly domainState: () => DomainState | undefined;
}

interface AccessKeyValue {
  readonly assertNotOlder: ReturnType<Acknowledged['beginRead']>;
  readonly accessKeyId: string;
  /** What precedes the record in the value. */
  readonly before: string;
  readonly stored: string;
}

/**
 * Everything in Redis that holds tokens, under any name. Resealing visits every name there is, so it also finds key
 * lists of the first release and moves them to their present place.
 */
export class RedisSealedRecords implements SealedRecords {
  readonly #deps: Deps;

  constructor(deps: Deps) {
    this.#deps = deps;
  }

  async load(names: readonly string[]): Promise<readonly SealedRecord[]> {
    const oldLists = names.map((name) => scopeOf(name, 'oldKeys')).filter((scope) => scope !== undefined);
    for (const scope of oldLists) await splitOldKeyList(this.#deps.calls, scope).catch(unlessDamaged);
    const records = await fewAtOnce(names, RECORDS_AT_ONCE, (name) => this.#load(name));
    return records.filter((record) => record !== undefined);
  }

  /**
   * A damaged record must not stop the others. It counts as remaining, so that no domain key is dropped on its account.
   */
  async #load(name: string): Promise<SealedRecord | undefined> {
    try {
      return await this.#loadByKind(name);
    } catch (error) {
      unlessDamaged(error);
      return { name, tokens: [Buffer.alloc(0)], replace: () => Promise.reject(error) };
    }
  }

  #loadByKind(name: string): Promise<SealedRecord | undefined> {
    const stored = storedNameOf(name);
    if (stored?.kind === 'key') return this.#loadKey(name, stored.tag);
    if (stored?.kind === 'accessKey') return this.#loadAccessKey(name, stored.tag);
    if (stored?.kind === 'firstAccessKey') return this.#loadClaim(name);
    if (stored?.kind === 'keyStores') return this.#loadKeyStores(name, stored.tag);
    if (stored?.kind === 'secret') return this.#loadSecret(name, stored.tag);
    return Promise.resolve(undefined);
  }

  async #loadKey(name: string, id: string): Promise<SealedRecord | undefined> {
    const { calls, macs, keys, acknowledged } = this.#deps;
    const assertNotOlder = acknowledged.beginRead();
    const place = { name, field: 'record' };
    const stored = await calls.field(name, place.field);
    if (stored === undefined) return undefined;
    const { revision, account, tokens, key, encodeWith } = sealedPartOfKey(await macs.verified(place, stored), id);
    assertNotOlder(keyName(key.region, key.keyId), revision);
    const replace = async (next: readonly Uint8Array[]) =>
      keys.update(revision, { key, json: await macs.withMac(place, encodeWith(next)) });
    return { name, account, tokens, replace };
  }

  async #loadAccessKey(name: string, accessKeyId: string): Promise<SealedRecord | undefined> {
    const assertNotOlder = this.#deps.acknowledged.beginRead();
    const stored = await this.#deps.calls.text(name);
    return stored === undefined
      ? undefined
      : this.#accessKeyIn(name, { assertNotOlder, accessKeyId, before: '', stored });
  }

  /** Of an account's first access key, while it is not stored: whoever makes it may have died. */
  async #loadClaim(name: string): Promise<SealedRecord | undefined> {
    const assertNotOlder = this.#deps.acknowledged.beginRead();
    const value = await this.#deps.calls.text(name);
    const { accessKeyId, record: stored } = firstAccessKeyIn(value ?? '');
    return stored === undefined
      ? undefined
      : this.#accessKeyIn(name, { assertNotOlder, accessKeyId, before: `${accessKeyId} `, stored });
  }

  async #accessKeyIn(
    name: string,
    { assertNotOlder, accessKeyId, before, stored }: AccessKeyValue,
  ): Promise<SealedRecord> {
    const { macs } = this.#deps;
    const place = accessKeyPlace(accessKeyId);
    const record = decodeAccessKey(await macs.verified(place, stored), accessKeyId);
    assertNotOlder(accessKeyName(accessKeyId), accessKeyRevision(record));
    const replace = async ([token]: readonly Uint8Array[]) => {
      assertNoFleetSecret(name, [record.token]);
      const { text, keyNumber } = await macs.withMac(place, encodeAccessKey({ ...record, token: token! }));
      return this.#replaceValue(name, before + stored, { text: before + text, keyNumber });
    };
    return { name, tokens: [record.token], replace };
  }

  /** The secrets of all custom key stores in one account's Region. */
  async #loadKeyStores(name: string, tag: string): Promise<SealedRecord | undefined> {
    const { calls, macs, acknowledged } = this.#deps;
    const assertNotOlder = acknowledged.beginRead();
    const [accountId = '', region = ''] = tag.split('/');
    const scope = { accountId, region };
    const stored = await calls.text(name);
    if (stored === undefined) return undefined;
    const { stores, revision } = decodeKeyStores(await macs.verified(keyStoresPlace(scope), stored), scope);
    assertNotOlder(keyStoresName(scope), revision);
    const replace = async (next: readonly Uint8Array[]) => {
      assertNoFleetSecret(name, stores.map(tokenOfStore));
      const changed = stores.map((store, i) => withToken(store, next[i]!));
      const text = await macs.withMac(keyStoresPlace(scope), encodeKeyStores(scope, changed, revision));
      const change = ['', CHANGES, keyStoresName(scope)] as const;
      return (await calls.script('kfReplaceKeyStores', ...keyStoresAt(scope), stored, text, ...change)) === 'done';
    };
    return { name, tokens: stores.map(tokenOfStore), replace };
  }

  /**
   * Of record keys, and of those only the ones in use: one that was dropped, and whatever somebody put there under any
   * name, is carried along by nobody. It ends with the domain key that it is sealed under, and holds up nothing. Judged
   * is what will be resealed, because whoever writes Redis may show another to each who reads.
   */
  async #loadSecret(name: string, secret: string): Promise<SealedRecord | undefined> {
    const { calls, domainState, recordKeys } = this.#deps;
    const number = recordKeyNumberOf(secret);
    if (number === undefined) return undefined;
    const sealed = await calls.bytes(name);
    if (sealed === undefined || !(await recordKeys.uses(number, sealed))) return undefined;
    // Evaluated when the new token is there; by then the state has its domain key.
    const replace = async ([token]: readonly Uint8Array[]) => {
      assertSealedAsNamed(domainState(), secret, sealed);
      return this.#replaceValue(name, sealed, Buffer.from(token!));
    };
    return { name, tokens: [sealed], replace };
  }

  async #replaceValue(name: string, before: string | Buffer, after: AuthenticRecord | Buffer): Promise<boolean> {
    return (await this.#deps.calls.script('kfReplaceValue', name, before, after)) === 1;
  }
}

/** Somebody has moved it there, and would move it back once it is resealed. */
function assertNoFleetSecret(name: string, tokens: readonly Uint8Array[]): void {
  if (!tokens.some((token) => isFleetSecret(accessKeyIdOf(token)))) return;
  throw new DamagedRecordError(
    `${name} holds a secret of the fleet: no frontend put it there. Restore it from a backup.`,
  );
}
