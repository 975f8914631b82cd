import { type KeyObject, sign, verify } from 'node:crypto';
import { p256, p384, p521 } from '@noble/curves/nist.js';
import { secp256k1 } from '@noble/curves/secp256k1.js';
import { type DigestName, isMessageOrDigest } from './digest.ts';
import type { SignatureScheme } from './signature.ts';

/**
 * ECDSA (FIPS 186-5), signatures in DER (X9.62), any s. Messages are signed by OpenSSL on the thread pool. A ready digest
 * is signed by @noble/curves, since node:crypto hashes whatever it signs; its nonce is RFC 6979's with fresh randomness mixed in.
 */
export function ecdsa(name: DigestName): SignatureScheme {
  return {
    accepts: (message) => isMessageOrDigest(name, message),
    sign: (privateKey, { messageType, message }) =>
      messageType === 'DIGEST' ? signDigest(privateKey, message) : signMessage(name, privateKey, message),
    verify: (publicKey, { messageType, message }, signature) =>
      messageType === 'DIGEST'
        ? verifyDigest(publicKey, message, signature)
        : verifyMessage(name, { publicKey, message, signature }),
  };
}

const curves = { prime256v1: p256, secp384r1: p384, secp521r1: p521, secp256k1 } as const;
const options = { prehash: false, lowS: false, format: 'der' } as const;

function signDigest(privateKey: KeyObject, digest: Uint8Array): Buffer {
  const secret = privateKey.export({ format: 'raw-private' });
  try {
    return Buffer.from(curveOf(privateKey).sign(digest, secret, { ...options, extraEntropy: true }));
  } finally {
    secret.fill(0);
  }
}

function verifyDigest(publicKey: KeyObject, digest: Uint8Array, signature: Uint8Array): boolean {
  const point = publicKey.export({ format: 'raw-public' });
  try {
    return curveOf(publicKey).verify(signature, digest, point, options);
  } catch {
    return false;
  }
}

function signMessage(name: DigestName, privateKey: KeyObject, message: Uint8Array): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    sign(name, message, privateKey, (error, signature) => {
      if (error === null) resolve(signature);
      else reject(error);
    });
  });
}

function verifyMessage(
  name: DigestName,
  { publicKey, message, signature }: { publicKey: KeyObject; message: Uint8Array; signature: Uint8Array },
): Promise<boolean> {
  return new Promise((resolve) => {
    verify(name, message, publicKey, signature, (error, valid) => resolve(error === null && valid));
  });
}

function curveOf(key: KeyObject) {
  return curves[key.asymmetricKeyDetails!.namedCurve as keyof typeof curves];
}
