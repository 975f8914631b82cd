/** A KMS key in a custom key store. */
export interface KeyInStore {
  readonly keyId: string;
  readonly customKeyStoreId: string;
  /** Of its key in an external key store. */
  readonly xksKeyId?: string | undefined;
}

// Entries of the list of keys in custom key stores: `<store id>/<external key id, or the key's own>/<key id>`. None of
// the three has a slash.

export function keyInStoreEntryOf(key: KeyInStore): string {
  return entriesOfPlace(key) + key.keyId;
}

/** What the entries of all keys begin with that have one place in a store: there can be one. */
export function entriesOfPlace({ keyId, customKeyStoreId, xksKeyId = keyId }: KeyInStore): string {
  return `${entriesOfKeyStore(customKeyStoreId)}${xksKeyId}/`;
}

export function entriesOfKeyStore(customKeyStoreId: string): string {
  return `${customKeyStoreId}/`;
}

export function keyIdOfEntry(entry: string): string {
  return entry.slice(entry.lastIndexOf('/') + 1);
}
