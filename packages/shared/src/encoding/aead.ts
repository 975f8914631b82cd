import { type CipherKey, createCipheriv, createDecipheriv, type DecipherGCM } from 'node:crypto';

/** AES-256-GCM with a 96-bit IV and the full 128-bit tag: the only authenticated encryption in Keyfleet. */
const algorithm = 'aes-256-gcm';
export const ivLength = 12;
export const tagLength = 16;

/**
 * The inputs of one sealing besides the plaintext. An IV must never be used twice with the same key: callers use a key
 * once (per-call keys), count (frames), or draw the IV at random and rotate the key far below 2^32 uses (domain keys).
 */
export interface SealingKey {
  readonly key: CipherKey;
  readonly iv: Uint8Array;
  /** Authenticated but not encrypted. */
  readonly associatedData?: Uint8Array;
}

/** A ciphertext, tag or length is wrong. There is no message: to say which would be an oracle. */
export class CannotOpenError extends Error {
  override name = 'CannotOpenError';
}

/** Returns the ciphertext (as long as the plaintext) and the tag. */
export function seal({ key, iv, associatedData }: SealingKey, plaintext: Uint8Array): [Buffer, Buffer] {
  const cipher = createCipheriv(algorithm, key, iv);
  if (associatedData !== undefined) cipher.setAAD(associatedData);
  const ciphertext = cipher.update(plaintext);
  cipher.final();
  return [ciphertext, cipher.getAuthTag()];
}

/** What `open` takes, of a ciphertext that ends in its tag. */
export function splitTag(sealed: Uint8Array): { ciphertext: Uint8Array; tag: Uint8Array } {
  return { ciphertext: sealed.subarray(0, -tagLength), tag: sealed.subarray(-tagLength) };
}

/**
 * Returns the plaintext. Throws `CannotOpenError` unless key, IV, associated data, ciphertext and tag belong together.
 */
export function open(
  { key, iv, associatedData }: SealingKey,
  sealed: { readonly ciphertext: Uint8Array; readonly tag: Uint8Array },
): Buffer {
  // Checked here, because OpenSSL would also accept a tag of 4 bytes, and telling it not to costs 0.8 us a call.
  if (sealed.tag.length !== tagLength || iv.length !== ivLength) throw new CannotOpenError();
  const decipher = createDecipheriv(algorithm, key, iv);
  if (associatedData !== undefined) decipher.setAAD(associatedData);
  decipher.setAuthTag(sealed.tag);
  const plaintext = updated(decipher, sealed.ciphertext);
  try {
    decipher.final();
  } catch {
    // Nobody may see the output that preceded the tag check.
    plaintext.fill(0);
    throw new CannotOpenError();
  }
  return plaintext;
}

/**
 * The result of `decipher.update`, without the copy that Node leaves behind: Node decrypts into memory one byte longer,
 * copies the result, and frees that memory without clearing it. The next allocations of that length get it again and
 * overwrite it.
 */
function updated(decipher: DecipherGCM, ciphertext: Uint8Array): Buffer {
  const plaintext = decipher.update(ciphertext);
  overwriteFreed(ciphertext.length + 1);
  return plaintext;
}

/** Overwrites what was just freed and had this length. */
export function overwriteFreed(length: number): void {
  // Twice, since the first may get other memory: without any, 4 of 60 plaintexts stayed in the heap, with one 1, with
  // two 1 of 300.
  for (let time = 0; time < 2; time++) takeZeroed(length);
}

/** Uses `buffer`, because only then does a short one get memory outside V8's own heap. */
function takeZeroed(length: number): ArrayBufferLike {
  return Buffer.allocUnsafeSlow(length).fill(0).buffer;
}
