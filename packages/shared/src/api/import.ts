import { z } from 'zod';
import { ExpirationModel, ImportType, WrappingAlgorithm, WrappingKeySpec } from './choices.ts';
import { Ciphertext, KeyId, KeyMaterialDescription, KeyMaterialId, Plaintext } from './fields.ts';
import { defineOperation } from './operation.ts';
import { text, timestamp } from './shape.ts';

export const GetParametersForImport = defineOperation({
  name: 'GetParametersForImport',
  summary: 'Returns a wrapping key and an import token, valid for 24 hours.',
  family: 'import',
  access: 'key',
  keyId: 'key',
  readOnly: true,
  input: z.object({
    KeyId,
    WrappingAlgorithm,
    WrappingKeySpec,
  }),
  output: z.object({
    KeyId: KeyId.optional(),
    ImportToken: Ciphertext.optional(),
    PublicKey: Plaintext.optional(),
    ParametersValidTo: timestamp().optional(),
  }),
  errors: ['InvalidArnException', 'UnsupportedOperationException', 'NotFoundException', 'KMSInvalidStateException'],
});

export const ImportKeyMaterial = defineOperation({
  name: 'ImportKeyMaterial',
  summary: 'Gives a KMS key of origin EXTERNAL its key material, or that for its next rotation.',
  family: 'import',
  access: 'key',
  keyId: 'key',
  readOnly: false,
  input: z.object({
    KeyId,
    ImportToken: Ciphertext,
    EncryptedKeyMaterial: Ciphertext,
    ValidTo: timestamp().optional(),
    ExpirationModel: ExpirationModel.default('KEY_MATERIAL_EXPIRES'),
    ImportType: ImportType.optional(),
    KeyMaterialDescription: KeyMaterialDescription.optional(),
    KeyMaterialId: KeyMaterialId.optional(),
  }),
  output: z.object({
    KeyId: KeyId.optional(),
    KeyMaterialId: KeyMaterialId.optional(),
  }),
  errors: [
    'InvalidArnException',
    'UnsupportedOperationException',
    'NotFoundException',
    'KMSInvalidStateException',
    'InvalidCiphertextException',
    'IncorrectKeyMaterialException',
    'ExpiredImportTokenException',
    'InvalidImportTokenException',
  ],
});

export const DeleteImportedKeyMaterial = defineOperation({
  name: 'DeleteImportedKeyMaterial',
  summary:
    'Destroys imported key material; the KMS key waits for it to be imported again, if it ever encrypted with it.',
  family: 'import',
  access: 'key',
  keyId: 'key',
  readOnly: false,
  input: z.object({
    KeyId,
    KeyMaterialId: KeyMaterialId.optional(),
  }),
  output: z.object({
    KeyId: KeyId.optional(),
    KeyMaterialId: text({ max: 64 }).optional(),
  }),
  errors: ['InvalidArnException', 'UnsupportedOperationException', 'NotFoundException', 'KMSInvalidStateException'],
});
