import {
  EncapsulationAlgorithm,
  EncryptionAlgorithm,
  ExpirationModel,
  KeyAgreementAlgorithm,
  KeyManager,
  KeySpec,
  KeyState,
  KeyUsage,
  MacAlgorithm,
  MultiRegionKeyType,
  Origin,
  SigningAlgorithm,
} from './choices.ts';
import {
  Arn,
  CloudHsmClusterId,
  CustomKeyStoreId,
  Description,
  KeyId,
  KeyMaterialId,
  PendingWindowInDays,
  Region,
  XksKeyId,
} from './fields.ts';
import { flag, list, structure, text, timestamp } from './shape.ts';

export const MultiRegionKey = structure('MultiRegionKey', {
  Arn: Arn.optional(),
  Region: Region.optional(),
});

export const MultiRegionConfiguration = structure('MultiRegionConfiguration', {
  MultiRegionKeyType: MultiRegionKeyType.optional(),
  PrimaryKey: MultiRegionKey.optional(),
  ReplicaKeys: list(MultiRegionKey).optional(),
});

export const XksKeyConfiguration = structure('XksKeyConfigurationType', {
  Id: XksKeyId.optional(),
});

export const KeyMetadata = structure('KeyMetadata', {
  AWSAccountId: text().optional(),
  KeyId,
  Arn: Arn.optional(),
  CreationDate: timestamp().optional(),
  Enabled: flag().optional(),
  Description: Description.optional(),
  KeyUsage: KeyUsage.optional(),
  KeyState: KeyState.optional(),
  DeletionDate: timestamp().optional(),
  ValidTo: timestamp().optional(),
  Origin: Origin.optional(),
  CustomKeyStoreId: CustomKeyStoreId.optional(),
  CloudHsmClusterId: CloudHsmClusterId.optional(),
  ExpirationModel: ExpirationModel.optional(),
  KeyManager: KeyManager.optional(),
  // KMS reports the key's spec under both names, even for specs newer than this member.
  CustomerMasterKeySpec: KeySpec.optional(),
  KeySpec: KeySpec.optional(),
  EncryptionAlgorithms: list(EncryptionAlgorithm).optional(),
  SigningAlgorithms: list(SigningAlgorithm).optional(),
  KeyAgreementAlgorithms: list(KeyAgreementAlgorithm).optional(),
  EncapsulationAlgorithms: list(EncapsulationAlgorithm).optional(),
  MultiRegion: flag().optional(),
  MultiRegionConfiguration: MultiRegionConfiguration.optional(),
  PendingDeletionWindowInDays: PendingWindowInDays.optional(),
  MacAlgorithms: list(MacAlgorithm).optional(),
  XksKeyConfiguration: XksKeyConfiguration.optional(),
  CurrentKeyMaterialId: KeyMaterialId.optional(),
});
