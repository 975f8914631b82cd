import type { KeySpec, KeyUsage, Origin, RotationType, StoredKeyState } from '@keyfleet/shared/key-specs';

/** One generation of a KMS key's material. The token is all that is kept of the secret. */
export interface BackingKey {
  /** Key material id, 64 hex digits. */
  readonly materialId: string;
  /**
   * Exported key token: the material sealed under a domain key. Absent while imported material is deleted, expired or
   * not yet imported in this Region; its place is kept.
   */
  readonly token?: Uint8Array | undefined;
  /** DER SubjectPublicKeyInfo of an asymmetric key; present with the token. */
  readonly publicKey?: Uint8Array | undefined;
  /** Milliseconds since the epoch: when it was made, or first imported, or, if imported for a rotation, rotated to. */
  readonly createdAt: number;
  /** Why it replaced its predecessor; absent for a key's first material. */
  readonly rotation?: RotationType | undefined;
  /** Decrypts only, so far: not every Region of the key has it yet or, if imported, it waits for RotateKeyOnDemand. */
  readonly pending?: true | undefined;
  /** For imported material, the description it was given. */
  readonly description?: string | undefined;
  /** Milliseconds since the epoch; present while imported material is here and expires. */
  readonly validTo?: number | undefined;
}

/** Material that is present here. */
export interface HeldKey extends BackingKey {
  readonly token: Uint8Array;
}

/** For a multi-Region key, in its record in each Region. The primary's record says what the others are to be told. */
export interface RelatedKeys {
  /** Counts changes to what all Regions share: of two records, the one with the higher version is newer. */
  readonly version: number;
  /** The primary key's Region. */
  readonly primary: string;
  /** The replica keys' Regions. */
  readonly replicas: readonly string[];
  /** The Region that is becoming the primary's, while that is under way. */
  readonly next?: string | undefined;
  /** In a primary's record: possibly not every Region has been told yet. */
  readonly spreading?: true | undefined;
}

/**
 * The record of a KMS key: everything the service knows about it. Immutable; a change is a new value with the next
 * revision.
 */
export interface KmsKey {
  /** Counts writes; a write states the revision that it read. */
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
  /** The policy document. Users, roles and sessions appear in it by their unique ids (`bound-policy.ts`). */
  readonly policy: string;
  /** Their ARNs at the time the policy was put. */
  readonly policyPrincipals?: Readonly<Record<string, string>> | undefined;
  readonly tags: readonly { readonly TagKey: string; readonly TagValue: string }[];
  /**
   * Oldest first; the last one that is not pending is current. Empty until a key of origin EXTERNAL gets its first
   * material.
   */
  readonly backingKeys: readonly BackingKey[];
  /** Milliseconds since the epoch; present while the state is PendingDeletion. */
  readonly deletionDate?: number | undefined;
  /** Present while the state is PendingReplicaDeletion: how long the key waits after its last replica is deleted. */
  readonly pendingWindowInDays?: number | undefined;
  /** Present once the key has had a replica. */
  readonly related?: RelatedKeys | undefined;
  /** The custom key store that holds the key. */
  readonly customKeyStoreId?: string | undefined;
  /** The key's id in an external key store: everything it encrypts is also encrypted under that one. */
  readonly xksKeyId?: string | undefined;
  /** The CloudHSM cluster that holds its second key, under the KMS key's id. */
  readonly clusterId?: string | undefined;
  readonly automaticRotation?: { readonly periodInDays: number; readonly nextDate: number } | undefined;
}

/** For a multi-Region key. A key from before replicas existed has none stored. */
export function relatedOf({ region, related }: Pick<KmsKey, 'region' | 'related'>): RelatedKeys {
  return related ?? { version: 0, primary: region, replicas: [] };
}

/** PRIMARY or REPLICA; undefined for a single-Region key. */
export function multiRegionTypeOf(
  key: Pick<KmsKey, 'multiRegion' | 'region' | 'related'>,
): 'PRIMARY' | 'REPLICA' | undefined {
  if (!key.multiRegion) return undefined;
  return relatedOf(key).primary === key.region ? 'PRIMARY' : 'REPLICA';
}

/** How far the clocks of two frontends may differ. A deletion, which lies between two keys of one id, takes a week. */
const CLOCKS_APART_MS = 3_600_000;

/**
 * Whether an alias or a grant of this time was given to this key, and not to an earlier one of its id: a replica that
 * is made again has the id of one that was deleted, and whoever controls Redis can put back what was that one's.
 */
export function wasGivenTo({ createdAt }: Pick<KmsKey, 'createdAt'>, at: number): boolean {
  return at > createdAt - CLOCKS_APART_MS;
}
