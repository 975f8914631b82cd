import { backingKeyOf } from './backing-key-of.ts';
import { decryptUnder } from './cipher.ts';
import type { CommandHandler } from './command.ts';

export const decrypt: CommandHandler<'Decrypt'> = (input, context) => {
  const plaintext = decryptUnder(backingKeyOf(input, 'ENCRYPT_DECRYPT', context), input);
  return plaintext instanceof Promise ? plaintext.then((opened) => ({ plaintext: opened })) : { plaintext };
};
