import { type CipherKey, createCipheriv, createDecipheriv, type DecipherGCM } from 'node:crypto';

/** AES-256-GCM with a 96-bit IV and the full 128-bit tag: the only authenticated encryption in Keyfleet. */
const algorithm = 'aes-256-gcm';
export const ivLength = 12;
export const tagLength = 16;

/**
 * What one sealing is done under. An IV must never be used twice with one key: callers use a key once (per-call keys),
 * count (frames), or draw the IV at random and rotate the key far below 2^32 uses (domain keys).
 */
export interface SealingKey {
  readonly key: CipherKey;
  readonly iv: Uint8Array;
  /** Authenticated, not encrypted. */
  readonly associatedData?: Uint8Array;
}

/** A ciphertext, tag or length is wrong. There is no message: which of them it was would be an oracle. */
export class CannotOpenError extends Error {
  override name = 'CannotOpenError';
}

/** Ciphertext (as long as the plaintext), then the tag. */
export function seal({ key, iv, associatedData }: SealingKey, plaintext: Uint8Array): [Buffer, Buffer] {
  const cipher = createCipheriv(algorithm, key, iv);
  if (associatedData !== undefined) cipher.setAAD(associatedData);
  const ciphertext = cipher.update(plaintext);
  cipher.final();
  return [ciphertext, cipher.getAuthTag()];
}

/** The plaintext. Throws `CannotOpenError` if key, IV, associated data, ciphertext or tag do not belong together. */
export function open(
  { key, iv, associatedData }: SealingKey,
  sealed: { readonly ciphertext: Uint8Array; readonly tag: Uint8Array },
): Buffer {
  // Checked here, since OpenSSL would take a tag of 4 bytes as readily, and asking it not to costs 0.8 us a call.
  if (sealed.tag.length !== tagLength || iv.length !== ivLength) throw new CannotOpenError();
  const decipher = createDecipheriv(algorithm, key, iv);
  if (associatedData !== undefined) decipher.setAAD(associatedData);
  decipher.setAuthTag(sealed.tag);
  const plaintext = updated(decipher, sealed.ciphertext);
  try {
    decipher.final();
  } catch {
    // What came out before the tag was checked must not be seen by anyone.
    plaintext.fill(0);
    throw new CannotOpenError();
  }
  return plaintext;
}

/**
 * What `decipher.update` gives, without the copy that Node leaves behind: Node decrypts into memory for one byte more,
 * copies the result and frees that memory as it is. The next allocations of that length get it again and overwrite it.
 */
function updated(decipher: DecipherGCM, ciphertext: Uint8Array): Buffer {
  const plaintext = decipher.update(ciphertext);
  // Two, since the first may get other memory: with none, 4 of 60 plaintexts stayed in the heap, with one 1, with two 1
  // of 300.
  overwriteFreed(ciphertext.length + 1);
  overwriteFreed(ciphertext.length + 1);
  return plaintext;
}

/** `buffer`: only then a short one gets memory outside V8's own heap. */
function overwriteFreed(length: number): ArrayBufferLike {
  return Buffer.allocUnsafeSlow(length).fill(0).buffer;
}
