/** A stored record with everything in it that is sealed under a domain key. */
export interface SealedRecord {
  /** For logs. */
  readonly name: string;
  readonly tokens: readonly Uint8Array[];
  /** Of a KMS key's record: the account that its tokens must be bound to. */
  readonly account?: string;
  /** Puts `tokens`, in the same order, in place of those that were read. False when the record has changed since. */
  replace(tokens: readonly Uint8Array[]): Promise<boolean>;
}

/** Everything stored that holds tokens. */
export interface SealedRecords {
  /** Those of these names that hold tokens and are still there. */
  load(names: readonly string[]): Promise<readonly SealedRecord[]>;
}
