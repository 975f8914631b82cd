import { decapsulate, encapsulate, type KeyObject } from 'node:crypto';
import { ml_kem1024 } from '@noble/post-quantum/ml-kem.js';
import { CannotOpenError } from '@keyfleet/shared/encoding/aead';

/** ML-KEM (FIPS 203), by OpenSSL. Synchronous: 0.05 to 0.1 ms. */
export function encapsulateUnder(publicKey: KeyObject): { sharedSecret: Buffer; ciphertext: Buffer } {
  const { sharedKey, ciphertext } = encapsulate(publicKey);
  return { sharedSecret: sharedKey, ciphertext };
}

/**
 * ML-KEM-1024 from 32 bytes of the caller's own, so that who knows them can make the same again (FIPS 203, algorithm
 * 17). By @noble/post-quantum, because OpenSSL draws them itself. Synchronous: 1 to 3 ms. Throws for a key that FIPS
 * 203 refuses.
 */
export function encapsulateFrom(
  coins: Uint8Array,
  encapsulationKey: Uint8Array,
): { sharedSecret: Buffer; ciphertext: Buffer } {
  const { sharedSecret, cipherText } = ml_kem1024.encapsulate(encapsulationKey, coins);
  return { sharedSecret: viewOf(sharedSecret), ciphertext: viewOf(cipherText) };
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

/** Not a copy, which would have to be overwritten too. */
function viewOf({ buffer, byteOffset, length }: Uint8Array<ArrayBufferLike>): Buffer {
  return Buffer.from(buffer, byteOffset, length);
}
