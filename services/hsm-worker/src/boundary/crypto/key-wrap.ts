import { createCipheriv, createDecipheriv } from 'node:crypto';
import { CannotOpenError } from '@keyfleet/shared/encoding/aead';

/** AES-256 Key Wrap with Padding (RFC 5649): how imported private keys come wrapped. The initial value is the RFC's. */
const algorithm = 'id-aes256-wrap-pad';
const initialValue = Buffer.from('a65959a6', 'hex');

export function wrapKey(wrappingKey: Uint8Array, material: Uint8Array): Buffer {
  const cipher = createCipheriv(algorithm, wrappingKey, initialValue);
  return Buffer.concat([cipher.update(material), cipher.final()]);
}

/** The material. Throws `CannotOpenError` if it was not wrapped by this key. */
export function unwrapKey(wrappingKey: Uint8Array, wrapped: Uint8Array): Buffer {
  try {
    const decipher = createDecipheriv(algorithm, wrappingKey, initialValue);
    return Buffer.concat([decipher.update(wrapped), decipher.final()]);
  } catch {
    throw new CannotOpenError();
  }
}
