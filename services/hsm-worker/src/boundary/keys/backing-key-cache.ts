/** Opened backing keys, kept in memory for a while. */
export interface BackingKeyCache {
  /** Forgets what is held of a backing key. */
  evict(materialId: Uint8Array): void;
}
