import { createHmac, type KeyObject } from 'node:crypto';

/** Bytes of N, fresh for every encryption. 128 random bits: after 2^48 encryptions a repeat is still a 2^-33 chance. */
export const nonceLength = 16;

/**
 * NIST SP 800-108r1 section 4.1, counter mode, PRF HMAC-SHA-256, 256 bits of output, so exactly one iteration:
 *
 *   K = HMAC-SHA-256(HBK, [1]_32 || "keyfleet/derived-key/1" || 0x00 || N || [256]_32)
 */
const before = Buffer.concat([Buffer.of(0, 0, 0, 1), Buffer.from('keyfleet/derived-key/1'), Buffer.of(0)]);
const after = Buffer.of(0, 0, 1, 0);

/**
 * The AES-256 key of one encryption under a backing key. Bytes, not a KeyObject: it is used once, then zeroed by the
 * caller.
 */
export function deriveKey(backingKey: KeyObject, nonce: Uint8Array): Buffer {
  return createHmac('sha256', backingKey)
    .update(Buffer.concat([before, nonce, after]))
    .digest();
}
