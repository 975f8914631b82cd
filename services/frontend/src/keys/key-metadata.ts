import type { OutputOf } from '@keyfleet/shared/api/operation';
import type { DescribeKey, GetPublicKey } from '@keyfleet/shared/api/keys';
import { algorithmsOf, type KeyUsage } from '@keyfleet/shared/key-specs';
import { stateAt } from './key-states.ts';
import { currentMaterialOf, lacksMaterial } from './backing-keys.ts';
import { type KmsKey, multiRegionTypeOf, relatedOf } from './kms-key.ts';
import { arnIn } from './multi-region.ts';

type KeyMetadata = NonNullable<OutputOf<typeof DescribeKey>['KeyMetadata']>;

/** The member of an answer that lists the algorithms for a key usage. */
const algorithmsMember = {
  ENCRYPT_DECRYPT: 'EncryptionAlgorithms',
  SIGN_VERIFY: 'SigningAlgorithms',
  GENERATE_VERIFY_MAC: 'MacAlgorithms',
  KEY_AGREEMENT: 'KeyAgreementAlgorithms',
  ENCAPSULATE_DECAPSULATE: 'EncapsulationAlgorithms',
} as const satisfies Record<KeyUsage, string>;

/** A key as DescribeKey and CreateKey show it: what the key lacks is absent, never null. `away` as in stateAt. */
export function metadataOf(key: KmsKey, now: number, away = false): KeyMetadata {
  const state = stateAt(key, now, away);
  const materialId = currentMaterialIdOf(key);
  return {
    AWSAccountId: key.accountId,
    KeyId: key.keyId,
    Arn: key.arn,
    CreationDate: key.createdAt,
    Enabled: state === 'Enabled',
    Description: key.description,
    KeyState: state,
    ...(key.deletionDate !== undefined && { DeletionDate: key.deletionDate }),
    ...(key.pendingWindowInDays !== undefined && { PendingDeletionWindowInDays: key.pendingWindowInDays }),
    Origin: key.origin,
    ...(key.origin === 'EXTERNAL' && !lacksMaterial(key, now) && expirationOf(key)),
    KeyManager: 'CUSTOMER',
    ...specMembersOf(key),
    MultiRegion: key.multiRegion,
    ...(key.multiRegion && { MultiRegionConfiguration: multiRegionConfigurationOf(key) }),
    ...(key.customKeyStoreId !== undefined && { CustomKeyStoreId: key.customKeyStoreId }),
    ...(key.clusterId !== undefined && { CloudHsmClusterId: key.clusterId }),
    ...(key.xksKeyId !== undefined && { XksKeyConfiguration: { Id: key.xksKeyId } }),
    ...(materialId !== undefined && { CurrentKeyMaterialId: materialId }),
  };
}

/**
 * The members that GetPublicKey shares with key metadata. `CustomerMasterKeySpec` is the old name, and always present
 * too.
 */
export function specMembersOf(key: KmsKey): Omit<OutputOf<typeof GetPublicKey>, 'KeyId' | 'PublicKey'> {
  return {
    KeyUsage: key.keyUsage,
    KeySpec: key.keySpec as NonNullable<KeyMetadata['KeySpec']>,
    // The old name's own enumeration lacks the newer specs; AWS returns them anyway.
    CustomerMasterKeySpec: key.keySpec as NonNullable<KeyMetadata['CustomerMasterKeySpec']>,
    [algorithmsMember[key.keyUsage]]: algorithmsOf(key),
  };
}

/**
 * For a key that has all of its material: the first date on which it will not. Material that waits for a rotation does
 * not count.
 */
function expirationOf({ backingKeys }: KmsKey): Pick<KeyMetadata, 'ExpirationModel' | 'ValidTo'> {
  const own = backingKeys.filter(({ pending }) => !pending);
  const ValidTo = Math.min(...own.map(({ validTo = Infinity }) => validTo));
  if (ValidTo === Infinity) return { ExpirationModel: 'KEY_MATERIAL_DOES_NOT_EXPIRE' };
  return { ExpirationModel: 'KEY_MATERIAL_EXPIRES', ValidTo };
}

/**
 * Present only on symmetric encryption keys, even if the imported material is gone, but not on keys whose material is
 * kept elsewhere.
 */
function currentMaterialIdOf(key: KmsKey): string | undefined {
  return key.keySpec === 'SYMMETRIC_DEFAULT' && key.customKeyStoreId === undefined
    ? currentMaterialOf(key)?.materialId
    : undefined;
}

function multiRegionConfigurationOf(key: KmsKey): NonNullable<KeyMetadata['MultiRegionConfiguration']> {
  const { primary, replicas } = relatedOf(key);
  const keyIn = (region: string) => ({ Arn: arnIn(key, region), Region: region });
  const MultiRegionKeyType = multiRegionTypeOf(key);
  return { MultiRegionKeyType, PrimaryKey: keyIn(primary), ReplicaKeys: replicas.map(keyIn) };
}
