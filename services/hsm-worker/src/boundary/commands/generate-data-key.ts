import { assertAlgorithm, backingKeyOf } from './backing-key-of.ts';
import { sealNew } from './cipher.ts';
import type { CommandHandler } from './command.ts';

export const generateDataKey: CommandHandler<'GenerateDataKey'> = (input, context) => {
  const { encryptionContext, length, withPlaintext } = input;
  const backingKey = backingKeyOf(input, 'ENCRYPT_DECRYPT', context);
  assertAlgorithm(backingKey, 'SYMMETRIC_DEFAULT');
  const plaintext = context.random(length);
  const ciphertext = sealNew(backingKey, { encryptionContext, plaintext, kept: withPlaintext }, context.nonce);
  return withPlaintext ? { ciphertext, plaintext } : { ciphertext };
};
