import { decapsulate, encapsulate, type KeyObject } from 'node:crypto';
import { CannotOpenError } from '@keyfleet/shared/encoding/aead';

/** ML-KEM (FIPS 203), by OpenSSL. Synchronous: 0.05 to 0.1 ms. */
export function encapsulateUnder(publicKey: KeyObject): { sharedSecret: Buffer; ciphertext: Buffer } {
  const { sharedKey, ciphertext } = encapsulate(publicKey);
  return { sharedSecret: sharedKey, ciphertext };
}

/**
 * The 32-byte shared secret. Every ciphertext of the right length yields one (implicit rejection: a wrong ciphertext
 * yields a secret that nobody else has). Throws `CannotOpenError` for any other length.
 */
export function decapsulateWith(privateKey: KeyObject, ciphertext: Uint8Array): Buffer {
  try {
    return decapsulate(privateKey, ciphertext);
  } catch {
    throw new CannotOpenError();
  }
}
