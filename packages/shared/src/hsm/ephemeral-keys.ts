import { createPublicKey, decapsulate, diffieHellman, encapsulate, generateKeyPair, type KeyObject } from 'node:crypto';
import { promisify } from 'node:util';
import { encapsulationKeyOf, kem } from '../domain/encapsulation.ts';
import { FormatError } from '../encoding/bytes.ts';

/**
 * Key agreement of sessions with keys that live for one message or one stream: ECDH on P-384, and ML-KEM-1024 (FIPS
 * 203) beside it, so that traffic recorded now stays closed to a later quantum computer. All of it runs on the thread
 * pool: P-384 takes a millisecond.
 */
const generate = promisify(generateKeyPair);
const encapsulateFor = promisify(encapsulate);
const agreeOn = promisify(diffieHellman);
const decapsulateBy = promisify(decapsulate);

export interface EphemeralKey {
  readonly privateKey: KeyObject;
  /** What the other side gets. */
  readonly publicKey: Buffer;
}

/** Its public key is an uncompressed point. */
export async function newAgreementKey(): Promise<EphemeralKey> {
  const { privateKey, publicKey } = await generate('ec', { namedCurve: 'P-384' });
  return { privateKey, publicKey: publicKey.export({ format: 'raw-public' }) };
}

/**
 * The x-coordinate that both sides come to; the caller wipes it. Throws for anything but an uncompressed point of
 * P-384.
 */
export function agree(privateKey: KeyObject, point: Uint8Array): Promise<Buffer> {
  // OpenSSL also takes the hybrid form, which is another spelling of the same point.
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
 * A fresh secret, which the caller wipes, and what carries it. Throws for bytes that are no encapsulation key (FIPS
 * 203, 7.2).
 */
export async function encapsulateTo(encapsulationKey: Uint8Array): Promise<{ secret: Buffer; ciphertext: Buffer }> {
  const { sharedKey, ciphertext } = await encapsulateFor(encapsulationKeyOf(encapsulationKey));
  return { secret: sharedKey, ciphertext };
}

/** The caller wipes it. Another's ciphertext gives another secret, and no error (implicit rejection). */
export function decapsulateWith(privateKey: KeyObject, ciphertext: Uint8Array): Promise<Buffer> {
  return decapsulateBy(privateKey, ciphertext);
}
