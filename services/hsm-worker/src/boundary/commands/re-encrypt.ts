import { backingKeyOf } from './backing-key-of.ts';
import { decryptUnder, encryptUnder } from './cipher.ts';
import type { CommandHandler } from './command.ts';

export const reEncrypt: CommandHandler<'ReEncrypt'> = async (input, context) => {
  const from = { keyId: input.sourceKeyId, account: input.sourceAccount, token: input.sourceToken };
  const to = { keyId: input.destinationKeyId, account: input.destinationAccount, token: input.destinationToken };
  const source = backingKeyOf(from, 'ENCRYPT_DECRYPT', context);
  const destination = backingKeyOf(to, 'ENCRYPT_DECRYPT', context);
  const plaintext = await decryptUnder(source, {
    algorithm: input.sourceAlgorithm,
    encryptionContext: input.sourceContext,
    ciphertext: input.ciphertext,
  });
  try {
    const options = { algorithm: input.destinationAlgorithm, encryptionContext: input.destinationContext, plaintext };
    return { ciphertext: encryptUnder(destination, options, context.nonce) };
  } finally {
    plaintext.fill(0);
  }
};
