import { keySpecs } from '@keyfleet/shared/key-specs';
import { newKeyPair, privateKeyDer, publicKeyDer } from '../keys/key-pair.ts';
import { assertAlgorithm, backingKeyOf } from './backing-key-of.ts';
import { sealNew } from './cipher.ts';
import { type CommandHandler, RefusedError } from './command.ts';

/** AWS's DataKeyPairSpec: every kind of key pair but ML-DSA's. */
const kinds: readonly string[] = ['rsa', 'ec', 'ed25519', 'ml-kem'];

export const generateDataKeyPair: CommandHandler<'GenerateDataKeyPair'> = async (input, context) => {
  const { encryptionContext, keyPairSpec, withPlaintext } = input;
  const backingKey = backingKeyOf(input, 'ENCRYPT_DECRYPT', context);
  assertAlgorithm(backingKey, 'SYMMETRIC_DEFAULT');

  const pair = kinds.includes(keySpecs[keyPairSpec].kind)
    ? await newKeyPair(keyPairSpec, context.rsaKeyPairs)
    : undefined;
  if (pair === undefined) throw new RefusedError('invalid-input');
  const publicKey = publicKeyDer(pair);
  const privateKey = privateKeyDer(pair);
  const options = { encryptionContext, plaintext: privateKey, kept: withPlaintext };
  const answer = { ciphertext: sealNew(backingKey, options, context.nonce), publicKey };
  return withPlaintext ? { ...answer, privateKey } : answer;
};
