import type { KeySpec, KeyUsage, Origin, RotationType, StoredKeyState } from '@keyfleet/shared/key-specs';

/** One generation of a KMS key's material: the token is all that is kept of the secret. */
export interface BackingKey {
  /** Key material id, 64 hex digits. */
  readonly materialId: string;
  /** Exported key token: the material sealed under a domain key. */
  readonly token: Uint8Array;
  /** DER SubjectPublicKeyInfo of an asymmetric key. */
  readonly publicKey?: Uint8Array;
  /** Milliseconds since the epoch. */
  readonly createdAt: number;
  /** Why it replaced the one before; absent for a key's first material. */
  readonly rotation?: RotationType;
}

export interface ImportedMaterial {
  /** Key material id, 64 hex digits. */
  readonly materialId: string;
  /** As it was given. */
  readonly description?: string | undefined;
  /** Milliseconds since the epoch; there while the key has the material and it expires. */
  readonly validTo?: number | undefined;
}

/** The record of a KMS key: everything the service knows of it. Immutable; a change is a new value with the next revision. */
export interface KmsKey {
  readonly schemaVersion: 1;
  /** Counts writes; a write names the revision it read. */
  readonly revision: number;
  readonly keyId: string;
  readonly arn: string;
  readonly accountId: string;
  readonly region: string;
  readonly keySpec: KeySpec;
  readonly keyUsage: KeyUsage;
  readonly origin: Origin;
  readonly multiRegion: boolean;
  readonly description: string;
  readonly state: StoredKeyState;
  readonly createdAt: number;
  /** The policy document as it was given. */
  readonly policy: string;
  readonly tags: readonly { readonly TagKey: string; readonly TagValue: string }[];
  /** Oldest first; the last one is current. Empty while PendingImport. */
  readonly backingKeys: readonly BackingKey[];
  /** Milliseconds since the epoch; there while the state is PendingDeletion. */
  readonly deletionDate?: number | undefined;
  /** The material that a key of origin EXTERNAL took, for ever: also when it was deleted or expired, for no other is taken then. */
  readonly imported?: ImportedMaterial | undefined;
  /** The custom key store that it is in. */
  readonly customKeyStoreId?: string | undefined;
  /** Its key in an external key store: what it encrypts is encrypted under that one, too. */
  readonly xksKeyId?: string | undefined;
  readonly automaticRotation?: { readonly periodInDays: number; readonly nextDate: number } | undefined;
}
