import { crc32 } from 'node:zlib';
import { keysAt, type Scope } from './names.ts';

/**
 * Over how many lists the keys of one account and Region are spread: one would be too large for a node. Part of how
 * they are stored: never changed.
 */
const KEY_LISTS = 16;

/** The list that has a key's entry: derived from its record. */
export function keyListAt({ accountId, region }: Scope, keyId: string): string {
  return keysAt({ accountId, region }, crc32(keyId) % KEY_LISTS);
}

/**
 * All lists of an account and Region, that of the first release before the others: an entry that is moved goes from it
 * to them.
 */
export function keyListsAt(scope: Scope): readonly string[] {
  return [keysAt(scope), ...Array.from({ length: KEY_LISTS }, (_, list) => keysAt(scope, list))];
}

/**
 * An entry of the list of an account's keys. A list is in the order of creation, and an entry's age shows without its
 * record.
 */
export function entryOf({ createdAt, keyId }: { readonly createdAt: number; readonly keyId: string }): string {
  return `${createdAt.toString(16).padStart(12, '0')}/${keyId}`;
}
export function keyIdOf(entry: string): string {
  return entry.slice(entry.indexOf('/') + 1);
}
