/** A KMS key in a custom key store. */
export interface KeyInStore {
  readonly keyId: string;
  readonly customKeyStoreId: string;
  /** The id of its key in an external key store. */
  readonly xksKeyId?: string | undefined;
}

// Entries of the list of keys in custom key stores: `<store id>/<external key id, or the key's own>/<key id>`. None of
// the three contains a slash.

export function keyInStoreEntryOf(key: KeyInStore): string {
  return entriesOfPlace(key) + key.keyId;
}

/** The prefix of entries for one place in a store, which at most one key can have. */
export function entriesOfPlace({ keyId, customKeyStoreId, xksKeyId = keyId }: KeyInStore): string {
  return `${entriesOfKeyStore(customKeyStoreId)}${xksKeyId}/`;
}

export function entriesOfKeyStore(customKeyStoreId: string): string {
  return `${customKeyStoreId}/`;
}

export function keyIdOfEntry(entry: string): string {
  return entry.slice(entry.lastIndexOf('/') + 1);
}
