import { findKeyStore, type KeyStoreStore } from './key-store.ts';
import type { KmsKey } from '../keys/kms-key.ts';
import type { Recall } from '../store/last-known.ts';

/**
 * Whether a key's custom key store is not connected, so that nothing can be done with the key. Not a promise for other
 * keys.
 */
export function isAway(
  { customKeyStoreId, accountId, region }: KmsKey,
  keyStores: Pick<KeyStoreStore, 'find'>,
  recall: Recall,
): boolean | Promise<boolean> {
  if (customKeyStoreId === undefined) return false;
  const found = keyStores.find({ accountId, region }, recall);
  if (found instanceof Promise) {
    return found.then((stores) => findKeyStore(stores, customKeyStoreId)?.state !== 'CONNECTED');
  }
  return findKeyStore(found, customKeyStoreId)?.state !== 'CONNECTED';
}
