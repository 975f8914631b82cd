import { createDecipheriv } from 'node:crypto';
import { CannotOpenError, overwriteFreed } from '@keyfleet/shared/encoding/aead';

/** AES-256 Key Wrap with Padding (RFC 5649), which wraps imported private keys. The initial value is the RFC's. */
const algorithm = 'id-aes256-wrap-pad';
const SEMIBLOCK = 8;
/** Two semiblocks (RFC 5649 section 4.2). OpenSSL would unwrap an empty input to an empty output. */
const SHORTEST = 16;
const initialValue = Buffer.from('a65959a6', 'hex');

/** Returns the material. Throws `CannotOpenError` if it was not wrapped by this key. */
export function unwrapKey(wrappingKey: Uint8Array, wrapped: Uint8Array): Buffer {
  if (wrapped.length < SHORTEST) throw new CannotOpenError();
  try {
    const decipher = createDecipheriv(algorithm, wrappingKey, initialValue);
    const material = decipher.update(wrapped);
    // Node decrypts into memory that is one semiblock longer, copies the result, and frees that memory as it is.
    overwriteFreed(wrapped.length + SEMIBLOCK);
    // `final` returns nothing more; it only checks that this key wrapped the material.
    decipher.final();
    return material;
  } catch {
    throw new CannotOpenError();
  }
}
