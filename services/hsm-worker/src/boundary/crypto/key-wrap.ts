import { createDecipheriv } from 'node:crypto';
import { CannotOpenError } from '@keyfleet/shared/encoding/aead';

/** AES-256 Key Wrap with Padding (RFC 5649): how imported private keys come wrapped. The initial value is the RFC's. */
const algorithm = 'id-aes256-wrap-pad';
/** Two semiblocks (RFC 5649 section 4.2). OpenSSL unwraps nothing from nothing. */
const SHORTEST = 16;
const initialValue = Buffer.from('a65959a6', 'hex');

/** The material. Throws `CannotOpenError` if it was not wrapped by this key. */
export function unwrapKey(wrappingKey: Uint8Array, wrapped: Uint8Array): Buffer {
  if (wrapped.length < SHORTEST) throw new CannotOpenError();
  try {
    const decipher = createDecipheriv(algorithm, wrappingKey, initialValue);
    const material = decipher.update(wrapped);
    // Whatever is left says only whether it was wrapped by this key.
    decipher.final();
    return material;
  } catch {
    throw new CannotOpenError();
  }
}
