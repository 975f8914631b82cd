import { dataKeyPairSpecs, type KeySpec } from '@keyfleet/shared/key-specs';
import { newKeyPair, privateKeyDer, publicKeyDer } from '../keys/key-pair.ts';
import type { Random } from '../crypto/random.ts';
import { RefusedError } from '../errors.ts';
import type { BackingKey } from '../keys/backing-keys.ts';
import { type EncryptionContext, sealBlob } from '../tokens/ciphertext-blob.ts';
import { assertAlgorithm, backingKeyOf, type CommandHandler } from './command.ts';

export const generateRandom: CommandHandler<'GenerateRandom'> = ({ length }, { random }) => ({ bytes: random(length) });

export const generateDataKey: CommandHandler<'GenerateDataKey'> = (input, context) => {
  const { encryptionContext, length, withPlaintext } = input;
  const backingKey = backingKeyOf(input, 'ENCRYPT_DECRYPT', context);
  assertAlgorithm(backingKey, 'SYMMETRIC_DEFAULT');
  const plaintext = context.random(length);
  const ciphertext = sealNew(backingKey, { encryptionContext, plaintext, kept: withPlaintext }, context.nonce);
  return withPlaintext ? { ciphertext, plaintext } : { ciphertext };
};

export const generateDataKeyPair: CommandHandler<'GenerateDataKeyPair'> = async (input, context, caller) => {
  const { account, encryptionContext, keyPairSpec, withPlaintext } = input;
  const backingKey = backingKeyOf(input, 'ENCRYPT_DECRYPT', context);
  assertAlgorithm(backingKey, 'SYMMETRIC_DEFAULT');

  const isOffered = (dataKeyPairSpecs as readonly KeySpec[]).includes(keyPairSpec);
  const pair = isOffered ? await newKeyPair(keyPairSpec, context.rsaKeyPairs, { account, caller }) : undefined;
  if (pair === undefined) throw new RefusedError('invalid-input');
  const publicKey = publicKeyDer(pair);
  const privateKey = privateKeyDer(pair);
  const options = { encryptionContext, plaintext: privateKey, kept: withPlaintext };
  const answer = { ciphertext: sealNew(backingKey, options, context.nonce), publicKey };
  return withPlaintext ? { ...answer, privateKey } : answer;
};

/**
 * Seals a secret made for this call, then zeroes it unless it is `kept` for the caller. A failed seal zeroes it too.
 */
function sealNew(
  backingKey: BackingKey,
  { kept, ...sealed }: { encryptionContext: EncryptionContext; plaintext: Buffer; kept: boolean },
  nonce: Random,
): Buffer {
  let isKept = false;
  try {
    const blob = sealBlob(backingKey, sealed, nonce);
    isKept = kept;
    return blob;
  } finally {
    if (!isKept) sealed.plaintext.fill(0);
  }
}
