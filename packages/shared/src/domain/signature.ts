import { createPublicKey, type KeyObject, sign, verify } from 'node:crypto';
import { promisify } from 'node:util';
import type { Format } from '../encoding/canonical.ts';
import { FormatError } from '../encoding/bytes.ts';
import { DomainError } from './domain-error.ts';

/** ECDSA on P-384 with SHA-384 (FIPS 186-5). The only signature form is r and s, 48 bytes each (IEEE P1363). */
export const signatureLength = 96;
const digest = 'sha384';
const dsaEncoding = 'ieee-p1363';

/** DER SubjectPublicKeyInfo of a P-384 key with an uncompressed point (RFC 5480): this prefix, then X and Y. */
export const publicKeyLength = 120;
const publicKeyPrefix = Buffer.from('3076301006072a8648ce3d020106052b8104002203620004', 'hex');

/**
 * True for the only encoding of a P-384 public key accepted here: another encoding of the same key would pass for
 * another key.
 */
export function isPublicKeyEncoding(spki: Uint8Array): boolean {
  return spki.length === publicKeyLength && publicKeyPrefix.equals(spki.subarray(0, publicKeyPrefix.length));
}

/** The encoding of a point that `pointOf` gives. */
export function encodedPoint(point: Uint8Array): Buffer {
  return Buffer.concat([publicKeyPrefix, point.subarray(1)]);
}

/** The uncompressed point (SEC 1, section 2.3.3) of a key in that encoding: 4, then X and Y. */
export function pointOf(spki: Uint8Array): Uint8Array {
  return spki.subarray(publicKeyPrefix.length - 1);
}

/** Throws `DomainError('malformed')` unless `spki` is a point of P-384 in that encoding. */
export function publicKeyOf(spki: Uint8Array): KeyObject {
  if (!isPublicKeyEncoding(spki)) throw new DomainError('malformed', 'not a P-384 public key');
  try {
    return createPublicKey({ key: Buffer.from(spki), format: 'der', type: 'spki' });
  } catch (cause) {
    throw new DomainError('malformed', 'not a P-384 public key', { cause });
  }
}

/** DER SubjectPublicKeyInfo. `key`: a P-384 key, private or public. */
export function encodedPublicKey(key: KeyObject): Buffer {
  const publicKey = key.type === 'private' ? createPublicKey(key) : key;
  const spki = publicKey.export({ format: 'der', type: 'spki' });
  if (!isPublicKeyEncoding(spki)) throw new DomainError('malformed', 'not a P-384 key');
  return spki;
}

/** `message` begins with the label of its format, so that a signature over one thing means nothing for another. */
export function signBytes(privateKey: KeyObject, message: Uint8Array): Buffer {
  return sign(digest, message, { key: privateKey, dsaEncoding });
}

/** `signingKey`: DER SubjectPublicKeyInfo from a trust anchor or a verified state. */
export function isSignatureOf(signingKey: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean {
  return (
    signature.length === signatureLength &&
    verify(digest, message, { key: publicKeyOf(signingKey), dsaEncoding }, signature)
  );
}

const signOffLoop = promisify(sign);
const verifyOffLoop = promisify(verify);

/** `signBytes` on the thread pool: it takes a millisecond, which must not block the event loop. */
export function signBytesOffLoop(privateKey: KeyObject, message: Uint8Array): Promise<Buffer> {
  return signOffLoop(digest, message, { key: privateKey, dsaEncoding });
}

/** `isSignatureOf` on the thread pool. */
export async function isSignatureOfOffLoop(
  signingKey: Uint8Array,
  message: Uint8Array,
  signature: Uint8Array,
): Promise<boolean> {
  if (signature.length !== signatureLength) return false;
  return verifyOffLoop(digest, message, { key: publicKeyOf(signingKey), dsaEncoding }, signature);
}

/** Decodes untrusted bytes. Throws `DomainError('malformed')`. */
export function decodeOrRefuse<T>(format: Format<T>, input: Uint8Array): T {
  try {
    return format.decode(input);
  } catch (cause) {
    if (!(cause instanceof FormatError)) throw cause;
    throw new DomainError('malformed', `not a canonical ${format.label}`, { cause });
  }
}
