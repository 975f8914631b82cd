import { crc32 } from 'node:zlib';
import { keysAt, type Scope } from './names.ts';

/**
 * How many lists the keys of one account and Region are spread over: a single one would be too large for a node. Part
 * of the stored format: never change it.
 */
const KEY_LISTS = 16;

/** The list that holds a key's entry; derived from the key's record. */
export function keyListAt({ accountId, region }: Scope, keyId: string): string {
  return keysAt({ accountId, region }, crc32(keyId) % KEY_LISTS);
}

/**
 * All lists of an account and Region, the first release's before the others: an entry that moves goes from it to them.
 */
export function keyListsAt(scope: Scope): readonly string[] {
  return [keysAt(scope), ...Array.from({ length: KEY_LISTS }, (_, list) => keysAt(scope, list))];
}

/**
 * A key's entry in the list of its account's keys. A list is in order of creation, and an entry shows its age without
 * the record.
 */
export function entryOf({ createdAt, keyId }: { readonly createdAt: number; readonly keyId: string }): string {
  return `${createdAt.toString(16).padStart(12, '0')}/${keyId}`;
}
export function keyIdOf(entry: string): string {
  return entry.slice(entry.indexOf('/') + 1);
}
