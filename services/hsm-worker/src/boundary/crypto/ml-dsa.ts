import { type KeyObject, randomBytes, sign, verify } from 'node:crypto';
import { ml_dsa44, ml_dsa65, ml_dsa87 } from '@noble/post-quantum/ml-dsa.js';
import type { SignatureScheme } from './signature.ts';

const muLength = 64;

/**
 * ML-DSA (FIPS 204), empty context, hedged. Whole messages by OpenSSL on the thread pool; a ready mu, which Node does not
 * hand to OpenSSL, by @noble/post-quantum. A signature of a message and one of its mu are the same kind and verify as each other.
 */
export const mlDsa: SignatureScheme = {
  accepts: ({ messageType, message }) =>
    messageType === 'RAW' || (messageType === 'EXTERNAL_MU' && message.length === muLength),
  sign: (privateKey, { messageType, message }) =>
    messageType === 'RAW' ? signMessage(privateKey, message) : signMu(privateKey, message),
  verify: (publicKey, { messageType, message }, signature) =>
    messageType === 'RAW' ? verify(null, message, publicKey, signature) : verifyMu(publicKey, message, signature),
};

const parameterSets = { 'ml-dsa-44': ml_dsa44, 'ml-dsa-65': ml_dsa65, 'ml-dsa-87': ml_dsa87 } as const;

function signMessage(privateKey: KeyObject, message: Uint8Array): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    sign(null, message, privateKey, (error, signature) => {
      if (error === null) resolve(signature);
      else reject(error);
    });
  });
}

function signMu(privateKey: KeyObject, mu: Uint8Array): Buffer {
  const scheme = parameterSetOf(privateKey);
  const seed = privateKey.export({ format: 'raw-seed' });
  const { secretKey } = scheme.keygen(seed);
  try {
    return Buffer.from(scheme.internal.sign(mu, secretKey, { externalMu: true, extraEntropy: randomBytes(32) }));
  } finally {
    seed.fill(0);
    secretKey.fill(0);
  }
}

function verifyMu(publicKey: KeyObject, mu: Uint8Array, signature: Uint8Array): boolean {
  try {
    const point = publicKey.export({ format: 'raw-public' });
    return parameterSetOf(publicKey).internal.verify(signature, mu, point, { externalMu: true });
  } catch {
    return false;
  }
}

function parameterSetOf(key: KeyObject) {
  return parameterSets[key.asymmetricKeyType as keyof typeof parameterSets];
}
