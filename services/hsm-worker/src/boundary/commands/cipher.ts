import { CannotOpenError } from '../crypto/aead.ts';
import { decryptOaep, encryptOaep, oaepCapacity, oaepHashes } from '../crypto/rsa-oaep.ts';
import type { BackingKey } from '../keys/backing-key.ts';
import { type EncryptionContext, openBlob, sealBlob } from '../tokens/ciphertext-blob.ts';
import { assertAlgorithm } from './backing-key-of.ts';
import { type Random, RefusedError } from './command.ts';

export interface CipherOptions {
  readonly algorithm: string;
  /** Empty with RSA, which has no place for it. */
  readonly encryptionContext: EncryptionContext;
}

/** Encrypts as Encrypt and ReEncrypt do. */
export function encryptUnder(
  backingKey: BackingKey,
  { plaintext, ...options }: CipherOptions & { plaintext: Uint8Array },
  nonce: Random,
): Buffer {
  const hash = hashOf(backingKey, options);
  if (hash === undefined) return sealBlob(backingKey, { plaintext, ...options }, nonce);
  if (plaintext.length > oaepCapacity(backingKey.publicKey, hash)) throw new RefusedError('invalid-input');
  return encryptOaep(backingKey.publicKey, hash, plaintext);
}

/** Seals a secret that was made for this call. It is zeroed unless it is `kept` for the caller, and whenever it cannot be sealed. */
export function sealNew(
  backingKey: BackingKey,
  { kept, ...sealed }: { encryptionContext: EncryptionContext; plaintext: Buffer; kept: boolean },
  nonce: Random,
): Buffer {
  let isKept = false;
  try {
    const blob = sealBlob(backingKey, sealed, nonce);
    isKept = kept;
    return blob;
  } finally {
    if (!isKept) sealed.plaintext.fill(0);
  }
}

/** Decrypts as Decrypt and ReEncrypt do. Refuses with `cannot-open`, whatever is wrong with the ciphertext. */
export function decryptUnder(
  backingKey: BackingKey,
  { ciphertext, ...options }: CipherOptions & { ciphertext: Uint8Array },
): Buffer | Promise<Buffer> {
  const hash = hashOf(backingKey, options);
  if (hash === undefined) return openBlob(backingKey, bufferOf(ciphertext), options.encryptionContext);
  return decryptOaep(backingKey.key, hash, ciphertext).catch((error: unknown) => {
    throw error instanceof CannotOpenError ? new RefusedError('cannot-open') : error;
  });
}

/** The OAEP hash of an RSA algorithm, `undefined` for symmetric encryption. */
function hashOf(backingKey: BackingKey, { algorithm, encryptionContext }: CipherOptions) {
  assertAlgorithm(backingKey, algorithm);
  const hash = oaepHashes[algorithm];
  // A context that is not bound to the ciphertext would promise what nobody checks.
  if (hash !== undefined && Object.keys(encryptionContext).length > 0) throw new RefusedError('invalid-input');
  return hash;
}

function bufferOf(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
