import { createSecretKey, scryptSync } from 'node:crypto';
import { CannotOpenError, ivLength, open, seal, tagLength } from '@keyfleet/shared/encoding/aead';
import type { Random } from './crypto/random.ts';

/**
 * Seals a member's identity at rest. It does not come from the volume that holds the identity, but from a mounted file
 * or a passphrase; a PKCS#11 token would be a third implementation.
 */
export interface SealKey {
  seal(plaintext: Uint8Array, associatedData: Uint8Array): Buffer;
  /** Throws `CannotOpenError`. The caller wipes the result. */
  open(sealed: Uint8Array, associatedData: Uint8Array): Buffer;
}

export const sealKeyLength = 32;

/**
 * AES-256-GCM, IV || ciphertext || tag. Used a few times a day, so random IVs never collide. Does not keep `bytes`: the
 * caller wipes them.
 */
export function newSealKey(bytes: Uint8Array, random: Random): SealKey {
  if (bytes.length !== sealKeyLength) throw new RangeError(`a seal key has ${sealKeyLength} bytes`);
  const key = createSecretKey(bytes);
  return {
    seal(plaintext, associatedData) {
      const iv = random(ivLength);
      return Buffer.concat([iv, ...seal({ key, iv, associatedData }, plaintext)]);
    },
    open(sealed, associatedData) {
      if (sealed.length < ivLength + tagLength) throw new CannotOpenError();
      const iv = sealed.subarray(0, ivLength);
      const ciphertext = sealed.subarray(ivLength, -tagLength);
      return open({ key, iv, associatedData }, { ciphertext, tag: sealed.subarray(-tagLength) });
    },
  };
}

/**
 * RFC 7914. Takes 128 MiB and about half a second, on purpose: people choose passphrases. For the CLI, never for a
 * serving worker.
 */
const scryptCost = { N: 2 ** 17, r: 8, p: 1, maxmem: 2 ** 28 };

export const saltLength = 32;

/** `salt`: its own random bytes, stored beside the sealed data. */
export function passphraseSealKey(passphrase: string, salt: Uint8Array, random: Random): SealKey {
  const bytes = scryptSync(passphrase.normalize('NFKC'), salt, sealKeyLength, scryptCost);
  try {
    return newSealKey(bytes, random);
  } finally {
    bytes.fill(0);
  }
}
