import { createPublicKey, diffieHellman, type KeyObject } from 'node:crypto';
import { InvalidPublicKeyError } from '../errors.ts';

/**
 * The peer's public key, for agreement with the owner of `ours`, from DER SubjectPublicKeyInfo. Throws
 * `InvalidPublicKeyError` unless it is a point on the same curve, not at infinity (SP 800-56A section 5.6.2.3.4), and
 * encoded as ours is: named curve, uncompressed. OpenSSL would also accept explicit parameters, with whatever cofactor
 * they claim.
 */
export function peerPublicKey(ours: KeyObject, der: Uint8Array): KeyObject {
  const expected = ours.export({ format: 'der', type: 'spki' });
  const point = ours.export({ format: 'raw-public' });
  // Includes the byte that gives the point's form: OpenSSL would accept a hybrid form of the same length.
  const prefix = expected.length - point.length + 1;
  if (der.length !== expected.length || expected.compare(der, 0, prefix, 0, prefix) !== 0) {
    throw new InvalidPublicKeyError();
  }
  try {
    return createPublicKey({ key: Buffer.from(der), format: 'der', type: 'spki' });
  } catch {
    throw new InvalidPublicKeyError();
  }
}

/**
 * ECDH on a NIST curve (cofactor 1): the raw x-coordinate, as long as the field. Runs on the thread pool, because P-384
 * and P-521 take milliseconds.
 */
export function deriveSharedSecret(privateKey: KeyObject, publicKey: KeyObject): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    diffieHellman({ privateKey, publicKey }, (error, secret) => {
      if (error === null) resolve(secret);
      else reject(new InvalidPublicKeyError());
    });
  });
}
