import type { KeySpec, KeyUsage, Origin, RotationType, StoredKeyState } from '@keyfleet/shared/key-specs';

/** One generation of a KMS key's material: the token is all that is kept of the secret. */
export interface BackingKey {
  /** Key material id, 64 hex digits. */
  readonly materialId: string;
  /**
   * Exported key token: the material sealed under a domain key. Absent while imported material is deleted, expired or
   * not yet brought to this Region: then its place is kept for it.
   */
  readonly token?: Uint8Array | undefined;
  /** DER SubjectPublicKeyInfo of an asymmetric key; there with the token. */
  readonly publicKey?: Uint8Array | undefined;
  /** Milliseconds since the epoch: when it was made, first imported or, imported for a rotation, rotated to. */
  readonly createdAt: number;
  /** Why it replaced the one before; absent for a key's first material. */
  readonly rotation?: RotationType | undefined;
  /** It only decrypts so far: not every Region of the key has it yet, or, imported, it waits for RotateKeyOnDemand. */
  readonly pending?: true | undefined;
  /** Of imported material, as it was given. */
  readonly description?: string | undefined;
  /** Milliseconds since the epoch; there while imported material is here and expires. */
  readonly validTo?: number | undefined;
}

/** Material that is here. */
export interface HeldKey extends BackingKey {
  readonly token: Uint8Array;
}

/** Of a multi-Region key, in the record of each of its Regions. The primary's says what the others shall be told. */
export interface RelatedKeys {
  /** Counts the changes of what all Regions share: of two records the one with more is newer. */
  readonly version: number;
  /** Region of the primary key. */
  readonly primary: string;
  /** Regions of the replica keys. */
  readonly replicas: readonly string[];
  /** The Region that becomes the primary's, while that is under way. */
  readonly next?: string | undefined;
  /** In a primary's record: it may be that not every Region has been told. */
  readonly spreading?: true | undefined;
}

/**
 * The record of a KMS key: everything the service knows of it. Immutable; a change is a new value with the next
 * revision.
 */
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
  /** The policy document, in which users, roles and sessions stand by their unique ids (`bound-policy.ts`). */
  readonly policy: string;
  /** Their ARNs when it was put. */
  readonly policyPrincipals?: Readonly<Record<string, string>> | undefined;
  readonly tags: readonly { readonly TagKey: string; readonly TagValue: string }[];
  /** Oldest first; the last one that is not pending is current. None until a key of origin EXTERNAL is given one. */
  readonly backingKeys: readonly BackingKey[];
  /** Milliseconds since the epoch; there while the state is PendingDeletion. */
  readonly deletionDate?: number | undefined;
  /**
   * There while the state is PendingReplicaDeletion: how long the key waits from the deletion of its last replica on.
   */
  readonly pendingWindowInDays?: number | undefined;
  /** There once the key has had a replica. */
  readonly related?: RelatedKeys | undefined;
  /** The custom key store that it is in. */
  readonly customKeyStoreId?: string | undefined;
  /** Its key in an external key store: what it encrypts is encrypted under that one, too. */
  readonly xksKeyId?: string | undefined;
  /** The CloudHSM cluster that its second key is in, under its key id. */
  readonly clusterId?: string | undefined;
  readonly automaticRotation?: { readonly periodInDays: number; readonly nextDate: number } | undefined;
}

/** Of a multi-Region key. One from before there were replicas has none. */
export function relatedOf({ region, related }: Pick<KmsKey, 'region' | 'related'>): RelatedKeys {
  return related ?? { version: 0, primary: region, replicas: [] };
}

/** PRIMARY or REPLICA, or undefined of a single-Region key. */
export function multiRegionTypeOf(
  key: Pick<KmsKey, 'multiRegion' | 'region' | 'related'>,
): 'PRIMARY' | 'REPLICA' | undefined {
  if (!key.multiRegion) return undefined;
  return relatedOf(key).primary === key.region ? 'PRIMARY' : 'REPLICA';
}
