import { createPublicKey, decapsulate, diffieHellman, encapsulate, generateKeyPair, type KeyObject } from 'node:crypto';
import { promisify } from 'node:util';
import { encapsulationKeyOf, kem } from '../domain/encapsulation.ts';
import { FormatError } from '../encoding/bytes.ts';

/**
 * Key agreement for sessions, with keys that live for one message or one stream: ECDH on P-384 combined with
 * ML-KEM-1024 (FIPS 203), so that traffic recorded now stays closed to a later quantum computer. Everything runs on the
 * thread pool: P-384 takes a millisecond.
 */
const generate = promisify(generateKeyPair);
const encapsulateFor = promisify(encapsulate);
const agreeOn = promisify(diffieHellman);
const decapsulateBy = promisify(decapsulate);

export interface EphemeralKey {
  readonly privateKey: KeyObject;
  /** Sent to the other side. */
  readonly publicKey: Buffer;
}

/** The public key is an uncompressed point. */
export async function newAgreementKey(): Promise<EphemeralKey> {
  const { privateKey, publicKey } = await generate('ec', { namedCurve: 'P-384' });
  return { privateKey, publicKey: publicKey.export({ format: 'raw-public' }) };
}

/**
 * The x-coordinate that both sides compute; the caller wipes it. Throws for anything but an uncompressed point of
 * P-384.
 */
export function agree(privateKey: KeyObject, point: Uint8Array): Promise<Buffer> {
  // OpenSSL also accepts the hybrid form, which is another encoding of the same point.
  if (point[0] !== 4) throw new FormatError('not an uncompressed point');
  const key = { key: Buffer.from(point), format: 'raw-public', asymmetricKeyType: 'ec', namedCurve: 'P-384' } as const;
  const publicKey = createPublicKey(key);
  return agreeOn({ privateKey, publicKey });
}

export async function newEncapsulationKey(): Promise<EphemeralKey> {
  const { privateKey, publicKey } = await generate(kem, {});
  return { privateKey, publicKey: publicKey.export({ format: 'raw-public' }) };
}

/**
 * A fresh secret, which the caller wipes, and its ciphertext. Throws for bytes that are not an encapsulation key (FIPS
 * 203, 7.2).
 */
export async function encapsulateTo(encapsulationKey: Uint8Array): Promise<{ secret: Buffer; ciphertext: Buffer }> {
  const { sharedKey, ciphertext } = await encapsulateFor(encapsulationKeyOf(encapsulationKey));
  return { secret: sharedKey, ciphertext };
}

/**
 * The caller wipes the secret. A ciphertext for another key yields a different secret, not an error (implicit
 * rejection).
 */
export function decapsulateWith(privateKey: KeyObject, ciphertext: Uint8Array): Promise<Buffer> {
  return decapsulateBy(privateKey, ciphertext);
}
