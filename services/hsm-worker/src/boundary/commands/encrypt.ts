import { backingKeyOf } from './backing-key-of.ts';
import { encryptUnder } from './cipher.ts';
import type { CommandHandler } from './command.ts';

export const encrypt: CommandHandler<'Encrypt'> = (input, context) => {
  const backingKey = backingKeyOf(input, 'ENCRYPT_DECRYPT', context);
  return { ciphertext: encryptUnder(backingKey, input, context.nonce) };
};
