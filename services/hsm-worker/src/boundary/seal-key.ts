import { createSecretKey, scryptSync } from 'node:crypto';
import { CannotOpenError, ivLength, open, seal, tagLength } from '@keyfleet/shared/encoding/aead';
import { bytes } from '@keyfleet/shared/encoding/canonical';
import { z } from 'zod';
import type { Random } from './crypto/random.ts';

export const sealKeyLength = 32;

/** A seal key as a PKCS#11 token encrypted it: only that token opens it. */
export const WrappedSealKey = z.object({
  iv: bytes({ min: ivLength, max: ivLength }),
  ciphertext: bytes({ min: sealKeyLength, max: sealKeyLength }),
  tag: bytes({ min: tagLength, max: tagLength }),
});
export type WrappedSealKey = z.output<typeof WrappedSealKey>;

/**
 * Seals a member's identity at rest. It does not come from the volume that holds the identity, but from a mounted file,
 * a passphrase or a PKCS#11 token.
 */
export interface SealKey {
  /** What the token needs to bring the key back, kept with the identity. Absent if the key does not come from one. */
  readonly wrapped?: WrappedSealKey | undefined;
  seal(plaintext: Uint8Array, associatedData: Uint8Array): Buffer;
  /** Throws `CannotOpenError`. The caller wipes the result. */
  open(sealed: Uint8Array, associatedData: Uint8Array): Buffer;
}

/**
 * AES-256-GCM, IV || ciphertext || tag. Used a few times a day, so random IVs never collide. Does not keep
 * `keyBytes`: the caller wipes them.
 */
export function newSealKey(keyBytes: Uint8Array, random: Random, wrapped?: WrappedSealKey): SealKey {
  if (keyBytes.length !== sealKeyLength) throw new RangeError(`a seal key has ${sealKeyLength} bytes`);
  const key = createSecretKey(keyBytes);
  return {
    wrapped,
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
  const keyBytes = scryptSync(passphrase.normalize('NFKC'), salt, sealKeyLength, scryptCost);
  try {
    return newSealKey(keyBytes, random);
  } finally {
    keyBytes.fill(0);
  }
}
