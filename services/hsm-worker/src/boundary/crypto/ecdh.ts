import { createPublicKey, diffieHellman, type KeyObject } from 'node:crypto';

/** The peer's public key cannot be used with ours. */
export class InvalidPublicKeyError extends Error {
  override name = 'InvalidPublicKeyError';
}

/**
 * The peer's public key for `privateKey`, from DER SubjectPublicKeyInfo. Throws `InvalidPublicKeyError` unless it is
 * exactly that: a named curve, the same, and a point on it that is not at infinity (SP 800-56A section 5.6.2.3.4).
 */
export function peerPublicKey(privateKey: KeyObject, der: Uint8Array): KeyObject {
  try {
    const key = createPublicKey({ key: Buffer.from(der), format: 'der', type: 'spki' });
    const ours = privateKey.asymmetricKeyDetails?.namedCurve;
    if (key.asymmetricKeyType === 'ec' && ours !== undefined && key.asymmetricKeyDetails?.namedCurve === ours)
      return key;
  } catch {
    // Falls through to the one answer for every bad key.
  }
  throw new InvalidPublicKeyError();
}

/**
 * ECDH on a NIST curve (cofactor 1): the raw x-coordinate, as long as the field, on the thread pool since P-384 and P-521
 * take milliseconds.
 */
export function deriveSharedSecret(privateKey: KeyObject, publicKey: KeyObject): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    diffieHellman({ privateKey, publicKey }, (error, secret) => {
      if (error === null) resolve(secret);
      else reject(new InvalidPublicKeyError());
    });
  });
}
