import { z } from 'zod';
import { MessageType, SigningAlgorithm } from './choices.ts';
import { Ciphertext, GrantTokens, KeyId, Plaintext } from './fields.ts';
import { defineOperation, keyUseErrors } from './operation.ts';
import { flag } from './shape.ts';

export const Sign = defineOperation({
  name: 'Sign',
  summary: 'Signs a message or its digest with the private key of an asymmetric KMS key.',
  family: 'sign',
  access: 'key',
  keyId: 'key-or-alias',
  readOnly: true,
  input: z.object({
    KeyId,
    Message: Plaintext,
    MessageType: MessageType.default('RAW'),
    GrantTokens: GrantTokens.optional(),
    SigningAlgorithm,
    DryRun: flag().optional(),
  }),
  output: z.object({
    KeyId: KeyId.optional(),
    Signature: Ciphertext.optional(),
    SigningAlgorithm: SigningAlgorithm.optional(),
  }),
  errors: keyUseErrors,
});

export const Verify = defineOperation({
  name: 'Verify',
  summary: 'Checks a signature made by an asymmetric KMS key; a wrong one is an error.',
  family: 'sign',
  access: 'key',
  keyId: 'key-or-alias',
  readOnly: true,
  input: z.object({
    KeyId,
    Message: Plaintext,
    MessageType: MessageType.default('RAW'),
    Signature: Ciphertext,
    SigningAlgorithm,
    GrantTokens: GrantTokens.optional(),
    DryRun: flag().optional(),
  }),
  output: z.object({
    KeyId: KeyId.optional(),
    SignatureValid: flag().optional(),
    SigningAlgorithm: SigningAlgorithm.optional(),
  }),
  errors: [...keyUseErrors, 'KMSInvalidSignatureException'],
});
