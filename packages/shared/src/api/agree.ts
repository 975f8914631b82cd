import { z } from 'zod';
import { EncapsulationAlgorithm, KeyAgreementAlgorithm, Origin } from './choices.ts';
import { Ciphertext, GrantTokens, KeyId, Plaintext, PublicKey, RecipientInfo } from './fields.ts';
import { defineOperation, keyUseErrors } from './operation.ts';
import { flag } from './shape.ts';

export const DeriveSharedSecret = defineOperation({
  name: 'DeriveSharedSecret',
  summary: "Agrees on a secret between a KMS key and another party's public key, by ECDH.",
  family: 'agree',
  access: 'key',
  keyId: 'key-or-alias',
  readOnly: true,
  input: z.object({
    KeyId,
    KeyAgreementAlgorithm,
    PublicKey,
    GrantTokens: GrantTokens.optional(),
    DryRun: flag().optional(),
    Recipient: RecipientInfo.optional(),
  }),
  output: z.object({
    KeyId: KeyId.optional(),
    SharedSecret: Plaintext.optional(),
    CiphertextForRecipient: Ciphertext.optional(),
    KeyAgreementAlgorithm: KeyAgreementAlgorithm.optional(),
    KeyOrigin: Origin.optional(),
  }),
  errors: keyUseErrors,
});

export const Encapsulate = defineOperation({
  name: 'Encapsulate',
  summary: 'Makes a fresh shared secret and encapsulates it to the public key of an ML-KEM KMS key.',
  family: 'agree',
  access: 'key',
  keyId: 'key-or-alias',
  readOnly: true,
  input: z.object({
    KeyId,
    EncapsulationAlgorithm,
    GrantTokens: GrantTokens.optional(),
    DryRun: flag().optional(),
  }),
  output: z.object({
    KeyId: KeyId.optional(),
    SharedSecret: Plaintext.optional(),
    SharedSecretCiphertextBlob: Ciphertext.optional(),
    EncapsulationAlgorithm: EncapsulationAlgorithm.optional(),
  }),
  errors: keyUseErrors,
});

export const Decapsulate = defineOperation({
  name: 'Decapsulate',
  summary: 'Recovers the shared secret that was encapsulated to an ML-KEM KMS key.',
  family: 'agree',
  access: 'key',
  keyId: 'key-or-alias',
  readOnly: true,
  input: z.object({
    KeyId,
    SharedSecretCiphertextBlob: Ciphertext,
    EncapsulationAlgorithm,
    GrantTokens: GrantTokens.optional(),
    DryRun: flag().optional(),
  }),
  output: z.object({
    KeyId: KeyId.optional(),
    SharedSecret: Plaintext.optional(),
    EncapsulationAlgorithm: EncapsulationAlgorithm.optional(),
  }),
  errors: [...keyUseErrors, 'InvalidCiphertextException'],
});
