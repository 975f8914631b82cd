import { sealBlob } from '../tokens/ciphertext-blob.ts';
import { assertAlgorithm, backingKeyOf } from './backing-key-of.ts';
import type { CommandHandler } from './command.ts';

export const generateDataKey: CommandHandler<'GenerateDataKey'> = (input, context) => {
  const { encryptionContext, length, withPlaintext } = input;
  const backingKey = backingKeyOf(input, 'ENCRYPT_DECRYPT', context);
  assertAlgorithm(backingKey, 'SYMMETRIC_DEFAULT');
  const plaintext = context.random(length);
  const ciphertext = sealBlob(backingKey, { encryptionContext, plaintext }, context.nonce);
  if (withPlaintext) return { ciphertext, plaintext };
  plaintext.fill(0);
  return { ciphertext };
};
