import { createHmac, type KeyObject } from 'node:crypto';

/**
 * Bytes of N, which is fresh for every encryption. With 128 random bits, the chance of a repeat after 2^48 encryptions
 * is 2^-33.
 */
export const nonceLength = 16;

/**
 * NIST SP 800-108r1 section 4.1, counter mode, PRF HMAC-SHA-256, 256 bits of output, so exactly one iteration:
 *
 *   K = HMAC-SHA-256(HBK, [1]_32 || "keyfleet/derived-key/1" || 0x00 || N || [256]_32)
 */
const before = Buffer.concat([Buffer.of(0, 0, 0, 1), Buffer.from('keyfleet/derived-key/1'), Buffer.of(0)]);
const after = Buffer.of(0, 0, 1, 0);

/**
 * The AES-256 key of one encryption under a backing key. Bytes, not a KeyObject: the caller uses it once and zeroes it.
 */
export function deriveKey(backingKey: KeyObject, nonce: Uint8Array): Buffer {
  return createHmac('sha256', backingKey)
    .update(Buffer.concat([before, nonce, after]))
    .digest();
}
