import { randomBytes } from 'node:crypto';

/** Random bytes; injected, so that tests and vectors can use known keys. */
export type Random = (length: number) => Buffer;

const batch = 4096;

/**
 * Random bytes for nonces and IVs, which are public. A draw from OpenSSL costs 3 us whatever its length, so many are
 * drawn at once. Not for keys, which would lie in memory before they are needed.
 */
export function newNonceSource(): Random {
  let drawn = Buffer.alloc(0);
  return (length) => {
    if (length > batch) throw new RangeError('not a nonce');
    if (length > drawn.length) drawn = randomBytes(batch);
    const nonce = drawn.subarray(0, length);
    drawn = drawn.subarray(length);
    return nonce;
  };
}
