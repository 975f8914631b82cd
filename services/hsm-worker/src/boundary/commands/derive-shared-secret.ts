import { deriveSharedSecret as agree, InvalidPublicKeyError, peerPublicKey } from '../crypto/ecdh.ts';
import { backingKeyOf } from './backing-key-of.ts';
import { type CommandHandler, RefusedError } from './command.ts';

export const deriveSharedSecret: CommandHandler<'DeriveSharedSecret'> = async (input, context) => {
  const { key, publicKey } = backingKeyOf(input, 'KEY_AGREEMENT', context);
  try {
    return { sharedSecret: await agree(key, peerPublicKey(publicKey, input.publicKey)) };
  } catch (error) {
    if (error instanceof InvalidPublicKeyError) throw new RefusedError('invalid-public-key');
    throw error;
  }
};
