import { KmsException } from '@keyfleet/shared/errors/exceptions';
import { HsmRefusedError } from '../../hsm/commands.ts';
import { currentBackingKey, findBackingKey } from '../../keys/backing-keys.ts';
import { blobHeaderOf, findBlobHeader, invalidCiphertext } from '../../keys/ciphertext.ts';
import type { BackingKey, KmsKey } from '../../keys/kms-key.ts';

/**
 * Throws IncorrectKeyException if the caller named a key that is no encryption key at all, or not the one that a blob names. AWS
 * says so before it says anything of the key's usage, state or algorithms.
 */
export function assertOpens(key: KmsKey, ciphertext: Uint8Array | undefined, algorithm: string): void {
  if (key.keyUsage !== 'ENCRYPT_DECRYPT') throw incorrectKey();
  // An RSA ciphertext names no key.
  if (ciphertext === undefined || algorithm !== 'SYMMETRIC_DEFAULT') return;
  const header = findBlobHeader(ciphertext);
  if (header && header.keyId !== key.keyId) throw incorrectKey();
}

/** The material of `key` that opens `ciphertext`. */
export function openingKeyOf(key: KmsKey, ciphertext: Uint8Array): BackingKey {
  if (key.keySpec !== 'SYMMETRIC_DEFAULT') return currentBackingKey(key);
  const header = blobHeaderOf(ciphertext);
  if (header.keyId !== key.keyId) throw incorrectKey();
  const backingKey = findBackingKey(key, header.materialId.toString('hex'));
  if (!backingKey) throw invalidCiphertext();
  return backingKey;
}

/** Waits for an HSM's answer; whatever did not open gives the one opaque error. */
export async function opened<T>(answer: Promise<T>): Promise<T> {
  try {
    return await answer;
  } catch (error) {
    if (error instanceof HsmRefusedError && error.refusal === 'cannot-open') throw invalidCiphertext(error);
    throw error;
  }
}

function incorrectKey(): KmsException {
  return new KmsException(
    'IncorrectKeyException',
    'The key ID in the request does not identify a CMK that can perform this operation.',
  );
}
