import { constants, type KeyObject, publicEncrypt, webcrypto } from 'node:crypto';
import { CannotOpenError } from '@keyfleet/shared/encoding/aead';
import type { OfferedEncryptionAlgorithm } from '@keyfleet/shared/algorithms';

/** RSAES-OAEP (RFC 8017 section 7.1) with an empty label, and MGF1 with the same hash, as in AWS KMS. */
export type OaepHash = 'SHA-1' | 'SHA-256';

export const oaepHashes: Readonly<Record<string, OaepHash>> = {
  RSAES_OAEP_SHA_1: 'SHA-1',
  RSAES_OAEP_SHA_256: 'SHA-256',
} satisfies Record<Exclude<OfferedEncryptionAlgorithm, 'SYMMETRIC_DEFAULT'>, OaepHash>;

/** Longest plaintext in bytes: k - 2h - 2. */
export function oaepCapacity(publicKey: KeyObject, hash: OaepHash): number {
  return modulusBytes(publicKey) - 2 * (hash === 'SHA-1' ? 20 : 32) - 2;
}

/** The plaintext must fit `oaepCapacity`. */
export function encryptOaep(publicKey: KeyObject, hash: OaepHash, plaintext: Uint8Array): Buffer {
  const key = { key: publicKey, padding: constants.RSA_PKCS1_OAEP_PADDING, oaepHash: hash };
  return publicEncrypt(key, plaintext);
}

/**
 * Decrypts on the thread pool: 0.8 ms (2048) to 7 ms (4096) of private-key work would hold up every other command.
 * `privateDecrypt` has no asynchronous form, but Web Crypto does. Throws `CannotOpenError` for any bad ciphertext.
 */
export async function decryptOaep(privateKey: KeyObject, hash: OaepHash, ciphertext: Uint8Array): Promise<Buffer> {
  // RFC 8017 section 7.1.2 step 1b, which OpenSSL omits: it also accepts a ciphertext without its leading zeros.
  if (ciphertext.length !== modulusBytes(privateKey)) throw new CannotOpenError();
  const key = privateKey.toCryptoKey({ name: 'RSA-OAEP', hash }, false, ['decrypt']);
  try {
    return Buffer.from(await webcrypto.subtle.decrypt('RSA-OAEP', key, Buffer.from(ciphertext)));
  } catch {
    throw new CannotOpenError();
  }
}

function modulusBytes(key: KeyObject): number {
  return key.asymmetricKeyDetails!.modulusLength! / 8;
}
