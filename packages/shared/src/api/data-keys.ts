import { z } from 'zod';
import { DataKeyPairSpec, DataKeySpec } from './choices.ts';
import {
  Ciphertext,
  EncryptionContext,
  GrantTokens,
  KeyId,
  KeyMaterialId,
  NumberOfBytes,
  Plaintext,
  PublicKey,
  RecipientInfo,
} from './fields.ts';
import { defineOperation, keyUseErrors } from './operation.ts';
import { flag } from './shape.ts';

export const GenerateDataKey = defineOperation({
  name: 'GenerateDataKey',
  summary: 'Returns a fresh symmetric data key, in clear and encrypted under a KMS key.',
  family: 'data-keys',
  access: 'key',
  keyId: 'key-or-alias',
  readOnly: true,
  input: z.object({
    KeyId,
    EncryptionContext: EncryptionContext.optional(),
    NumberOfBytes: NumberOfBytes.optional(),
    KeySpec: DataKeySpec.optional(),
    GrantTokens: GrantTokens.optional(),
    Recipient: RecipientInfo.optional(),
    DryRun: flag().optional(),
  }),
  output: z.object({
    CiphertextBlob: Ciphertext.optional(),
    Plaintext: Plaintext.optional(),
    KeyId: KeyId.optional(),
    CiphertextForRecipient: Ciphertext.optional(),
    KeyMaterialId: KeyMaterialId.optional(),
  }),
  errors: keyUseErrors,
});

export const GenerateDataKeyWithoutPlaintext = defineOperation({
  name: 'GenerateDataKeyWithoutPlaintext',
  summary: 'Returns a fresh symmetric data key only as encrypted under a KMS key.',
  family: 'data-keys',
  access: 'key',
  keyId: 'key-or-alias',
  readOnly: true,
  input: z.object({
    KeyId,
    EncryptionContext: EncryptionContext.optional(),
    KeySpec: DataKeySpec.optional(),
    NumberOfBytes: NumberOfBytes.optional(),
    GrantTokens: GrantTokens.optional(),
    DryRun: flag().optional(),
  }),
  output: z.object({
    CiphertextBlob: Ciphertext.optional(),
    KeyId: KeyId.optional(),
    KeyMaterialId: KeyMaterialId.optional(),
  }),
  errors: keyUseErrors,
});

export const GenerateDataKeyPair = defineOperation({
  name: 'GenerateDataKeyPair',
  summary: 'Returns a fresh asymmetric data key pair, the private key in clear and encrypted under a KMS key.',
  family: 'data-keys',
  access: 'key',
  keyId: 'key-or-alias',
  readOnly: true,
  input: z.object({
    EncryptionContext: EncryptionContext.optional(),
    KeyId,
    KeyPairSpec: DataKeyPairSpec,
    GrantTokens: GrantTokens.optional(),
    Recipient: RecipientInfo.optional(),
    DryRun: flag().optional(),
  }),
  output: z.object({
    PrivateKeyCiphertextBlob: Ciphertext.optional(),
    PrivateKeyPlaintext: Plaintext.optional(),
    PublicKey: PublicKey.optional(),
    KeyId: KeyId.optional(),
    KeyPairSpec: DataKeyPairSpec.optional(),
    CiphertextForRecipient: Ciphertext.optional(),
    KeyMaterialId: KeyMaterialId.optional(),
  }),
  errors: [...keyUseErrors, 'UnsupportedOperationException'],
});

export const GenerateDataKeyPairWithoutPlaintext = defineOperation({
  name: 'GenerateDataKeyPairWithoutPlaintext',
  summary: 'Returns a fresh asymmetric data key pair, the private key only as encrypted under a KMS key.',
  family: 'data-keys',
  access: 'key',
  keyId: 'key-or-alias',
  readOnly: true,
  input: z.object({
    EncryptionContext: EncryptionContext.optional(),
    KeyId,
    KeyPairSpec: DataKeyPairSpec,
    GrantTokens: GrantTokens.optional(),
    DryRun: flag().optional(),
  }),
  output: z.object({
    PrivateKeyCiphertextBlob: Ciphertext.optional(),
    PublicKey: PublicKey.optional(),
    KeyId: KeyId.optional(),
    KeyPairSpec: DataKeyPairSpec.optional(),
    KeyMaterialId: KeyMaterialId.optional(),
  }),
  errors: [...keyUseErrors, 'UnsupportedOperationException'],
});
