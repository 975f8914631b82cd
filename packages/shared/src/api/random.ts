import { z } from 'zod';
import { Ciphertext, CustomKeyStoreId, NumberOfBytes, Plaintext, RecipientInfo } from './fields.ts';
import { defineOperation } from './operation.ts';

export const GenerateRandom = defineOperation({
  name: 'GenerateRandom',
  summary: 'Returns random bytes from the HSM.',
  family: 'random',
  access: 'account',
  readOnly: true,
  input: z.object({
    NumberOfBytes: NumberOfBytes.optional(),
    CustomKeyStoreId: CustomKeyStoreId.optional(),
    Recipient: RecipientInfo.optional(),
  }),
  output: z.object({
    Plaintext: Plaintext.optional(),
    CiphertextForRecipient: Ciphertext.optional(),
  }),
  errors: ['UnsupportedOperationException', 'CustomKeyStoreNotFoundException', 'CustomKeyStoreInvalidStateException'],
});
