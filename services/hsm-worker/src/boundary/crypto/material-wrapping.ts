import type { KeyObject } from 'node:crypto';
import type { WrappingAlgorithm } from '@keyfleet/shared/algorithms';
import { CannotOpenError } from '@keyfleet/shared/encoding/aead';
import { unwrapKey } from './key-wrap.ts';
import { decryptOaep, type OaepHash } from './rsa-oaep.ts';

interface Wrapping {
  readonly hash: OaepHash;
  /** RSA_AES_KEY_WRAP (PKCS #11's CKM_RSA_AES_KEY_WRAP): the RSA key wraps an AES key, which wraps the material. */
  readonly aes: boolean;
}

const wrappings: Readonly<Record<WrappingAlgorithm, Wrapping>> = {
  RSAES_OAEP_SHA_1: { hash: 'SHA-1', aes: false },
  RSAES_OAEP_SHA_256: { hash: 'SHA-256', aes: false },
  RSA_AES_KEY_WRAP_SHA_1: { hash: 'SHA-1', aes: true },
  RSA_AES_KEY_WRAP_SHA_256: { hash: 'SHA-256', aes: true },
};

const AES_KEY_BYTES = 32;

/** Unwraps imported key material, which the caller zeroes. Throws `CannotOpenError`, whatever is wrong with it. */
export async function unwrapMaterial(
  wrappingKey: KeyObject,
  algorithm: WrappingAlgorithm,
  wrapped: Uint8Array,
): Promise<Buffer> {
  const { hash, aes } = wrappings[algorithm];
  if (!aes) return decryptOaep(wrappingKey, hash, wrapped);
  const rsaBytes = wrappingKey.asymmetricKeyDetails!.modulusLength! / 8;
  const aesKey = await decryptOaep(wrappingKey, hash, wrapped.subarray(0, rsaBytes));
  try {
    if (aesKey.length !== AES_KEY_BYTES) throw new CannotOpenError();
    return unwrapKey(aesKey, wrapped.subarray(rsaBytes));
  } finally {
    aesKey.fill(0);
  }
}
