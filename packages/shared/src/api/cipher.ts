import { z } from 'zod';
import { DryRunModifier, EncryptionAlgorithm } from './choices.ts';
import {
  Ciphertext,
  EncryptionContext,
  GrantTokens,
  KeyId,
  KeyMaterialId,
  Plaintext,
  RecipientInfo,
} from './fields.ts';
import { defineOperation, keyUseErrors } from './operation.ts';
import { flag, list } from './shape.ts';

export const Encrypt = defineOperation({
  name: 'Encrypt',
  summary: 'Encrypts up to 4,096 bytes under a KMS key.',
  family: 'cipher',
  access: 'key',
  keyId: 'key-or-alias',
  readOnly: true,
  input: z.object({
    KeyId,
    Plaintext,
    EncryptionContext: EncryptionContext.optional(),
    GrantTokens: GrantTokens.optional(),
    EncryptionAlgorithm: EncryptionAlgorithm.default('SYMMETRIC_DEFAULT'),
    DryRun: flag().optional(),
  }),
  output: z.object({
    CiphertextBlob: Ciphertext.optional(),
    KeyId: KeyId.optional(),
    EncryptionAlgorithm: EncryptionAlgorithm.optional(),
  }),
  errors: keyUseErrors,
});

export const Decrypt = defineOperation({
  name: 'Decrypt',
  summary: 'Decrypts what Encrypt, ReEncrypt or a data key operation made.',
  family: 'cipher',
  access: 'key',
  keys: [{ member: 'KeyId', identifiers: 'key-or-alias', action: 'kms:Decrypt', ciphertext: 'CiphertextBlob' }],
  readOnly: true,
  input: z.object({
    CiphertextBlob: Ciphertext.optional(),
    EncryptionContext: EncryptionContext.optional(),
    GrantTokens: GrantTokens.optional(),
    KeyId: KeyId.optional(),
    EncryptionAlgorithm: EncryptionAlgorithm.default('SYMMETRIC_DEFAULT'),
    Recipient: RecipientInfo.optional(),
    DryRun: flag().optional(),
    DryRunModifiers: list(DryRunModifier).optional(),
  }),
  output: z.object({
    KeyId: KeyId.optional(),
    Plaintext: Plaintext.optional(),
    EncryptionAlgorithm: EncryptionAlgorithm.optional(),
    CiphertextForRecipient: Ciphertext.optional(),
    KeyMaterialId: KeyMaterialId.optional(),
  }),
  errors: [...keyUseErrors, 'InvalidCiphertextException', 'IncorrectKeyException'],
});

export const ReEncrypt = defineOperation({
  name: 'ReEncrypt',
  summary:
    'Decrypts a ciphertext and encrypts it again, under another KMS key or context, without showing the plaintext.',
  family: 'cipher',
  access: 'key',
  keys: [
    { member: 'SourceKeyId', identifiers: 'key-or-alias', action: 'kms:ReEncryptFrom', ciphertext: 'CiphertextBlob' },
    { member: 'DestinationKeyId', identifiers: 'key-or-alias', action: 'kms:ReEncryptTo' },
  ],
  readOnly: true,
  input: z.object({
    CiphertextBlob: Ciphertext.optional(),
    SourceEncryptionContext: EncryptionContext.optional(),
    SourceKeyId: KeyId.optional(),
    DestinationKeyId: KeyId,
    DestinationEncryptionContext: EncryptionContext.optional(),
    SourceEncryptionAlgorithm: EncryptionAlgorithm.default('SYMMETRIC_DEFAULT'),
    DestinationEncryptionAlgorithm: EncryptionAlgorithm.default('SYMMETRIC_DEFAULT'),
    GrantTokens: GrantTokens.optional(),
    DryRun: flag().optional(),
    DryRunModifiers: list(DryRunModifier).optional(),
  }),
  output: z.object({
    CiphertextBlob: Ciphertext.optional(),
    SourceKeyId: KeyId.optional(),
    KeyId: KeyId.optional(),
    SourceEncryptionAlgorithm: EncryptionAlgorithm.optional(),
    DestinationEncryptionAlgorithm: EncryptionAlgorithm.optional(),
    SourceKeyMaterialId: KeyMaterialId.optional(),
    DestinationKeyMaterialId: KeyMaterialId.optional(),
  }),
  errors: [...keyUseErrors, 'InvalidCiphertextException', 'IncorrectKeyException'],
});
