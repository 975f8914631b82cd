import type { DecipherGCM } from 'node:crypto';

/**
 * What `decipher.update` gives without the copy that Node leaves behind: it decrypts into memory for one
 * byte more, copies the result and frees that memory as it is. The next allocations of that length get it again, and are overwritten.
 */
export function updated(decipher: DecipherGCM, ciphertext: Uint8Array): Buffer {
  const plaintext = decipher.update(ciphertext);
  // Two, since the first may get other memory: with none, 4 of 60 plaintexts stayed in the heap, with one 1, with two 1 of 300.
  overwriteFreed(ciphertext.length + 1);
  overwriteFreed(ciphertext.length + 1);
  return plaintext;
}

/** `buffer`: only then a short one gets memory outside V8's own heap. */
function overwriteFreed(length: number): ArrayBufferLike {
  return Buffer.allocUnsafeSlow(length).fill(0).buffer;
}
