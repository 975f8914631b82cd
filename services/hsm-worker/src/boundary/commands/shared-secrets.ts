import { CannotOpenError } from '@keyfleet/shared/encoding/aead';
import { deriveSharedSecret as agree, peerPublicKey } from '../crypto/ecdh.ts';
import { decapsulateWith, encapsulateUnder } from '../crypto/ml-kem.ts';
import { InvalidPublicKeyError, RefusedError } from '../errors.ts';
import { backingKeyOf, type CommandHandler } from './command.ts';

export const deriveSharedSecret: CommandHandler<'DeriveSharedSecret'> = async (input, context, caller) => {
  const { key, publicKey } = backingKeyOf(input, 'KEY_AGREEMENT', context);
  try {
    const peer = peerPublicKey(publicKey, input.publicKey);
    return { sharedSecret: await context.poolTurns.run(input, caller, () => agree(key, peer)) };
  } catch (error) {
    if (error instanceof InvalidPublicKeyError) throw new RefusedError('invalid-public-key');
    throw error;
  }
};

export const encapsulate: CommandHandler<'Encapsulate'> = (input, context) =>
  encapsulateUnder(backingKeyOf(input, 'ENCAPSULATE_DECAPSULATE', context).publicKey);

export const decapsulate: CommandHandler<'Decapsulate'> = (input, context) => {
  const { key } = backingKeyOf(input, 'ENCAPSULATE_DECAPSULATE', context);
  try {
    return { sharedSecret: decapsulateWith(key, input.ciphertext) };
  } catch (error) {
    if (error instanceof CannotOpenError) throw new RefusedError('cannot-open');
    throw error;
  }
};
