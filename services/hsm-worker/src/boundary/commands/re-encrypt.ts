import { backingKeyOf } from './backing-key-of.ts';
import { decryptUnder, encryptUnder } from './cipher.ts';
import type { CommandHandler } from './command.ts';

export const reEncrypt: CommandHandler<'ReEncrypt'> = async (input, context) => {
  const source = backingKeyOf({ keyId: input.sourceKeyId, token: input.sourceToken }, 'ENCRYPT_DECRYPT', context);
  const destination = backingKeyOf(
    { keyId: input.destinationKeyId, token: input.destinationToken },
    'ENCRYPT_DECRYPT',
    context,
  );
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
