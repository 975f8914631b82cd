import { z } from 'zod';
import { MacAlgorithm } from './choices.ts';
import { Ciphertext, GrantTokens, KeyId, Plaintext } from './fields.ts';
import { defineOperation, keyUseErrors } from './operation.ts';
import { flag } from './shape.ts';

export const GenerateMac = defineOperation({
  name: 'GenerateMac',
  summary: 'Computes an HMAC of a message under an HMAC KMS key.',
  family: 'mac',
  access: 'key',
  keyId: 'key-or-alias',
  readOnly: true,
  input: z.object({
    Message: Plaintext,
    KeyId,
    MacAlgorithm,
    GrantTokens: GrantTokens.optional(),
    DryRun: flag().optional(),
  }),
  output: z.object({
    Mac: Ciphertext.optional(),
    MacAlgorithm: MacAlgorithm.optional(),
    KeyId: KeyId.optional(),
  }),
  errors: keyUseErrors,
});

export const VerifyMac = defineOperation({
  name: 'VerifyMac',
  summary: 'Checks an HMAC of a message; a wrong one is an error.',
  family: 'mac',
  access: 'key',
  keyId: 'key-or-alias',
  readOnly: true,
  input: z.object({
    Message: Plaintext,
    KeyId,
    MacAlgorithm,
    Mac: Ciphertext,
    GrantTokens: GrantTokens.optional(),
    DryRun: flag().optional(),
  }),
  output: z.object({
    KeyId: KeyId.optional(),
    MacValid: flag().optional(),
    MacAlgorithm: MacAlgorithm.optional(),
  }),
  errors: [...keyUseErrors, 'KMSInvalidMacException'],
});
