import {
  constants,
  createCipheriv,
  createPrivateKey,
  createPublicKey,
  type KeyObject,
  publicEncrypt,
  randomBytes,
} from 'node:crypto';
import type { WrappingAlgorithm } from './algorithms.ts';

/**
 * Wraps key material for ImportKeyMaterial under the public key (DER SubjectPublicKeyInfo) of GetParametersForImport.
 * Throws if the material is too long for OAEP.
 */
export function wrapMaterial(algorithm: WrappingAlgorithm, publicKey: Uint8Array, material: Uint8Array): Buffer {
  const oaepHash = algorithm.endsWith('_SHA_1') ? 'sha1' : 'sha256';
  const key = createPublicKey({ key: Buffer.from(publicKey), format: 'der', type: 'spki' });
  const oaep = (bytes: Uint8Array) =>
    publicEncrypt({ key, padding: constants.RSA_PKCS1_OAEP_PADDING, oaepHash }, bytes);
  if (algorithm.startsWith('RSAES_OAEP_')) return oaep(material);
  const aesKey = randomBytes(32);
  try {
    return Buffer.concat([oaep(aesKey), wrapKey(aesKey, material)]);
  } finally {
    aesKey.fill(0);
  }
}

/** AES-256 Key Wrap with Padding (RFC 5649), with the RFC's initial value. */
export function wrapKey(wrappingKey: Uint8Array, material: Uint8Array): Buffer {
  const cipher = createCipheriv('id-aes256-wrap-pad', wrappingKey, Buffer.from('a65959a6', 'hex'));
  return Buffer.concat([cipher.update(material), cipher.final()]);
}

/** A private key from any DER that OpenSSL writes without a passphrase: PKCS #8, PKCS #1 or SEC 1. */
export function privateKeyOfDer(key: Buffer): KeyObject | undefined {
  for (const type of ['pkcs8', 'pkcs1', 'sec1'] as const) {
    try {
      return createPrivateKey({ key, format: 'der', type });
    } catch {
      // Of another type.
    }
  }
  return undefined;
}
