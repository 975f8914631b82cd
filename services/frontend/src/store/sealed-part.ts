import type { KmsKey } from '../keys/kms-key.ts';
import { NEWEST_KEY_RECORD } from './key-record.ts';
import type { NewRecord } from './record-writes.ts';
import { damagedRecord, parseRecord } from './records.ts';

/** The parts of a key's record that are sealed under a domain key. */
export interface SealedPart {
  readonly revision: number;
  readonly account: string;
  /** For the list of due keys. */
  readonly key: NewRecord['key'];
  readonly tokens: readonly Uint8Array[];
  /** The record's next revision, with these tokens in the same order and everything else unchanged. */
  readonly encodeWith: (tokens: readonly Uint8Array[]) => string;
}

interface KeyRecordText extends Pick<KmsKey, 'region' | 'keyId' | 'accountId' | 'state'> {
  readonly revision: number;
  readonly backingKeys: readonly { readonly token?: string; readonly validTo?: number }[];
}

/**
 * `id`: Region and key id. Parses nothing else of the record, because resealing visits every record. Throws
 * DamagedRecordError.
 */
export function sealedPartOfKey(text: string, id: string): SealedPart {
  const name = `key ${id}`;
  const record = parseRecord(text, name, NEWEST_KEY_RECORD) as object as KeyRecordText;
  const { revision, accountId, backingKeys } = record;
  const isWhole = Number.isInteger(revision) && typeof accountId === 'string' && Array.isArray(backingKeys);
  if (!isWhole || backingKeys.some((backingKey) => !isStoredKey(backingKey))) {
    throw damagedRecord(name, 'it does not have the form of its schema version');
  }
  if (`${record.region}/${record.keyId}` !== id) throw damagedRecord(name, 'it is the record of another key');
  return {
    revision,
    account: accountId,
    key: record,
    tokens: backingKeys.flatMap(({ token }) => (token === undefined ? [] : [Buffer.from(token, 'base64')])),
    encodeWith: (tokens) => {
      const [...next] = tokens;
      const changed = backingKeys.map((one) =>
        one.token === undefined ? one : { ...one, token: Buffer.from(next.shift()!).toString('base64') },
      );
      return JSON.stringify({ ...record, revision: revision + 1, backingKeys: changed });
    },
  };
}

/** Material without a token is not here. */
function isStoredKey(backingKey: unknown): boolean {
  if (typeof backingKey !== 'object' || backingKey === null) return false;
  const { token } = backingKey as { readonly token?: unknown };
  return token === undefined || typeof token === 'string';
}
