import { keySpecs } from '@keyfleet/shared/key-specs';
import { newKeyPair, privateKeyDer, publicKeyDer } from '../keys/key-pair.ts';
import { sealBlob } from '../tokens/ciphertext-blob.ts';
import { assertAlgorithm, backingKeyOf } from './backing-key-of.ts';
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
  const privateKey = privateKeyDer(pair);
  const sealed = sealBlob(backingKey, { encryptionContext, plaintext: privateKey }, context.nonce);
  const answer = { ciphertext: sealed, publicKey: publicKeyDer(pair) };
  if (withPlaintext) return { ...answer, privateKey };
  privateKey.fill(0);
  return answer;
};
