import { CannotOpenError } from '../crypto/aead.ts';
import { decapsulateWith } from '../crypto/ml-kem.ts';
import { backingKeyOf } from './backing-key-of.ts';
import { type CommandHandler, RefusedError } from './command.ts';

export const decapsulate: CommandHandler<'Decapsulate'> = (input, context) => {
  const { key } = backingKeyOf(input, 'ENCAPSULATE_DECAPSULATE', context);
  try {
    return { sharedSecret: decapsulateWith(key, input.ciphertext) };
  } catch (error) {
    if (error instanceof CannotOpenError) throw new RefusedError('cannot-open');
    throw error;
  }
};
