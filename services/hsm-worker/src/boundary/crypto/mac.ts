import { createHmac, type KeyObject, timingSafeEqual } from 'node:crypto';
import type { MacAlgorithm } from '@keyfleet/shared/algorithms';

/** The hash of each HMAC algorithm (RFC 2104, FIPS 198-1). The code is as long as the hash, never truncated. */
export const macHashes: Readonly<Record<string, string>> = {
  HMAC_SHA_224: 'sha224',
  HMAC_SHA_256: 'sha256',
  HMAC_SHA_384: 'sha384',
  HMAC_SHA_512: 'sha512',
} satisfies Record<MacAlgorithm, string>;

export function macOf(key: KeyObject, hash: string, message: Uint8Array): Buffer {
  return createHmac(hash, key).update(message).digest();
}

/** Constant-time for a code of the right length. */
export function macMatches(expected: Buffer, mac: Uint8Array): boolean {
  return expected.length === mac.length && timingSafeEqual(expected, mac);
}
