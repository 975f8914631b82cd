import { z } from 'zod';
import {
  CustomerMasterKeySpec,
  EncapsulationAlgorithm,
  EncryptionAlgorithm,
  KeyAgreementAlgorithm,
  KeySpec,
  KeyState,
  KeyUsage,
  Origin,
  ResourceOwner,
  SigningAlgorithm,
  TrackedOperation,
} from './choices.ts';
import {
  Arn,
  CustomKeyStoreId,
  Description,
  GrantTokens,
  KeyId,
  Limit,
  Marker,
  PendingWindowInDays,
  Policy,
  PublicKey,
  Tags,
  XksKeyId,
} from './fields.ts';
import { KeyMetadata } from './key-metadata.ts';
import { defineOperation } from './operation.ts';
import { flag, list, structure, text, timestamp } from './shape.ts';

export const KeyListEntry = structure('KeyListEntry', {
  KeyId: KeyId.optional(),
  KeyArn: Arn.optional(),
});

export const KeyLastUsageData = structure('KeyLastUsageData', {
  Operation: TrackedOperation.optional(),
  Timestamp: timestamp().optional(),
  CloudTrailEventId: text().optional(),
  KmsRequestId: text().optional(),
});

export const CreateKey = defineOperation({
  name: 'CreateKey',
  summary:
    "Creates a KMS key in the caller's account and Region, with its first key material unless that is to be imported.",
  family: 'keys',
  access: 'account',
  readOnly: false,
  input: z.object({
    Policy: Policy.optional(),
    Description: Description.default(''),
    KeyUsage: KeyUsage.optional(),
    CustomerMasterKeySpec: CustomerMasterKeySpec.optional(),
    KeySpec: KeySpec.optional(),
    Origin: Origin.default('AWS_KMS'),
    CustomKeyStoreId: CustomKeyStoreId.optional(),
    BypassPolicyLockoutSafetyCheck: flag().default(false),
    Tags: Tags.optional(),
    MultiRegion: flag().default(false),
    XksKeyId: XksKeyId.optional(),
  }),
  output: z.object({
    KeyMetadata: KeyMetadata.optional(),
  }),
  errors: [
    'MalformedPolicyDocumentException',
    'InvalidArnException',
    'UnsupportedOperationException',
    'LimitExceededException',
    'TagException',
    'CustomKeyStoreNotFoundException',
    'CustomKeyStoreInvalidStateException',
    'CloudHsmClusterInvalidConfigurationException',
    'XksKeyInvalidConfigurationException',
    'XksKeyAlreadyInUseException',
    'XksKeyNotFoundException',
  ],
});

export const DescribeKey = defineOperation({
  name: 'DescribeKey',
  summary: 'Says everything about a KMS key except its policy, grants, aliases and tags.',
  family: 'keys',
  access: 'key',
  keyId: 'key-or-alias',
  readOnly: true,
  input: z.object({
    KeyId,
    GrantTokens: GrantTokens.optional(),
  }),
  output: z.object({
    KeyMetadata: KeyMetadata.optional(),
  }),
  errors: ['NotFoundException', 'InvalidArnException'],
});

export const ListKeys = defineOperation({
  name: 'ListKeys',
  summary: "Lists the KMS keys of the caller's account and Region, page by page.",
  family: 'keys',
  access: 'account',
  readOnly: true,
  input: z.object({
    Limit: Limit.optional(),
    Marker: Marker.optional(),
    ResourceOwners: list(ResourceOwner, { min: 1, max: 2 }).optional(),
  }),
  output: z.object({
    Keys: list(KeyListEntry).optional(),
    NextMarker: Marker.optional(),
    Truncated: flag().optional(),
  }),
  errors: ['InvalidMarkerException'],
});

export const EnableKey = defineOperation({
  name: 'EnableKey',
  summary: 'Lets a disabled KMS key be used again.',
  family: 'keys',
  access: 'key',
  keyId: 'key',
  readOnly: false,
  input: z.object({
    KeyId,
  }),
  output: null,
  errors: ['NotFoundException', 'InvalidArnException', 'LimitExceededException', 'KMSInvalidStateException'],
});

export const DisableKey = defineOperation({
  name: 'DisableKey',
  summary: 'Stops every cryptographic use of a KMS key until it is enabled again.',
  family: 'keys',
  access: 'key',
  keyId: 'key',
  readOnly: false,
  input: z.object({
    KeyId,
  }),
  output: null,
  errors: ['NotFoundException', 'InvalidArnException', 'KMSInvalidStateException'],
});

export const ScheduleKeyDeletion = defineOperation({
  name: 'ScheduleKeyDeletion',
  summary: 'Destroys a KMS key and all its material after a waiting period of 7 to 30 days.',
  family: 'keys',
  access: 'key',
  keyId: 'key',
  readOnly: false,
  input: z.object({
    KeyId,
    PendingWindowInDays: PendingWindowInDays.default(30),
  }),
  output: z.object({
    KeyId: KeyId.optional(),
    DeletionDate: timestamp().optional(),
    KeyState: KeyState.optional(),
    PendingWindowInDays: PendingWindowInDays.optional(),
  }),
  errors: ['NotFoundException', 'InvalidArnException', 'KMSInvalidStateException'],
});

export const CancelKeyDeletion = defineOperation({
  name: 'CancelKeyDeletion',
  summary: 'Takes a KMS key back from scheduled deletion; it is then disabled.',
  family: 'keys',
  access: 'key',
  keyId: 'key',
  readOnly: false,
  input: z.object({
    KeyId,
  }),
  output: z.object({
    KeyId: KeyId.optional(),
  }),
  errors: ['NotFoundException', 'InvalidArnException', 'KMSInvalidStateException'],
});

export const UpdateKeyDescription = defineOperation({
  name: 'UpdateKeyDescription',
  summary: 'Replaces the description of a KMS key.',
  family: 'keys',
  access: 'key',
  keyId: 'key',
  readOnly: false,
  input: z.object({
    KeyId,
    Description,
  }),
  output: null,
  errors: ['NotFoundException', 'InvalidArnException', 'KMSInvalidStateException'],
});

export const GetPublicKey = defineOperation({
  name: 'GetPublicKey',
  summary: 'Returns the public key of an asymmetric KMS key, as DER SubjectPublicKeyInfo.',
  family: 'keys',
  access: 'key',
  keyId: 'key-or-alias',
  readOnly: true,
  input: z.object({
    KeyId,
    GrantTokens: GrantTokens.optional(),
  }),
  output: z.object({
    KeyId: KeyId.optional(),
    PublicKey: PublicKey.optional(),
    CustomerMasterKeySpec: KeySpec.optional(),
    KeySpec: KeySpec.optional(),
    KeyUsage: KeyUsage.optional(),
    EncryptionAlgorithms: list(EncryptionAlgorithm).optional(),
    SigningAlgorithms: list(SigningAlgorithm).optional(),
    KeyAgreementAlgorithms: list(KeyAgreementAlgorithm).optional(),
    EncapsulationAlgorithms: list(EncapsulationAlgorithm).optional(),
  }),
  errors: [
    'NotFoundException',
    'DisabledException',
    'KeyUnavailableException',
    'UnsupportedOperationException',
    'InvalidArnException',
    'InvalidGrantTokenException',
    'InvalidKeyUsageException',
    'KMSInvalidStateException',
  ],
});

export const GetKeyLastUsage = defineOperation({
  name: 'GetKeyLastUsage',
  summary: 'Says when and for what a KMS key was last used successfully.',
  family: 'keys',
  access: 'key',
  keyId: 'key',
  readOnly: true,
  input: z.object({
    KeyId,
  }),
  output: z.object({
    KeyId: KeyId.optional(),
    KeyLastUsage: KeyLastUsageData.optional(),
    TrackingStartDate: timestamp().optional(),
    KeyCreationDate: timestamp().optional(),
  }),
  errors: ['NotFoundException', 'InvalidArnException'],
});
