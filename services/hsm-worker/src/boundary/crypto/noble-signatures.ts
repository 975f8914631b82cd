import { type KeyObject, randomBytes } from 'node:crypto';
import { ed25519ph } from '@noble/curves/ed25519.js';
import { p256, p384, p521 } from '@noble/curves/nist.js';
import { secp256k1 } from '@noble/curves/secp256k1.js';
import { ml_dsa44, ml_dsa65, ml_dsa87 } from '@noble/post-quantum/ml-dsa.js';

/**
 * What OpenSSL has but node:crypto does not offer, from the noble libraries: JavaScript that runs for milliseconds, so
 * it has its own thread.
 */
export type NobleAlgorithm = 'ecdsa-digest' | 'ed25519ph' | 'ml-dsa-mu';

export interface Signed {
  readonly message: Uint8Array;
  readonly signature: Uint8Array;
}

/** `message`: a digest, the message of Ed25519ph, or a mu. */
export function signByNoble(algorithm: NobleAlgorithm, privateKey: KeyObject, message: Uint8Array): Uint8Array {
  const secret = privateKey.export({ format: algorithm === 'ml-dsa-mu' ? 'raw-seed' : 'raw-private' });
  try {
    switch (algorithm) {
      case 'ecdsa-digest':
        // RFC 6979's nonce with fresh randomness mixed in: neither a bad generator nor a fault gives the key away.
        return curveOf(privateKey).sign(message, secret, { ...ecdsaOptions, extraEntropy: true });
      case 'ed25519ph':
        return ed25519ph.sign(message, secret);
      case 'ml-dsa-mu':
        return signMu(privateKey, secret, message);
    }
  } finally {
    secret.fill(0);
  }
}

export function verifyByNoble(
  algorithm: NobleAlgorithm,
  publicKey: KeyObject,
  { message, signature }: Signed,
): boolean {
  const key = publicKey.export({ format: 'raw-public' });
  try {
    switch (algorithm) {
      case 'ecdsa-digest':
        return curveOf(publicKey).verify(signature, message, key, ecdsaOptions);
      case 'ed25519ph':
        return ed25519ph.verify(signature, message, key, { zip215: false });
      case 'ml-dsa-mu':
        return parameterSetOf(publicKey).internal.verify(signature, message, key, { externalMu: true });
    }
  } catch {
    // noble throws for signatures that it cannot parse; to us they are merely wrong.
    return false;
  }
}

const ecdsaOptions = { prehash: false, lowS: false, format: 'der' } as const;
const curves = { prime256v1: p256, secp384r1: p384, secp521r1: p521, secp256k1 } as const;
const parameterSets = { 'ml-dsa-44': ml_dsa44, 'ml-dsa-65': ml_dsa65, 'ml-dsa-87': ml_dsa87 } as const;

function signMu(privateKey: KeyObject, seed: Uint8Array, mu: Uint8Array): Uint8Array {
  const scheme = parameterSetOf(privateKey);
  const { secretKey } = scheme.keygen(seed);
  try {
    return scheme.internal.sign(mu, secretKey, { externalMu: true, extraEntropy: randomBytes(32) });
  } finally {
    secretKey.fill(0);
  }
}

function curveOf(key: KeyObject) {
  return curves[key.asymmetricKeyDetails!.namedCurve as keyof typeof curves];
}

function parameterSetOf(key: KeyObject) {
  return parameterSets[key.asymmetricKeyType as keyof typeof parameterSets];
}
