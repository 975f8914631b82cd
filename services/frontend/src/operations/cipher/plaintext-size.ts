import { KmsException } from '@keyfleet/shared/errors/exceptions';
import { type KeySpec, type KeySpecRow, keySpecs } from '@keyfleet/shared/key-specs';

const hashBytes: Readonly<Record<string, number>> = { RSAES_OAEP_SHA_1: 20, RSAES_OAEP_SHA_256: 32 };

/** Throws ValidationException for more than the algorithm can take. */
export function assertFits(plaintext: Uint8Array, algorithm: string, keySpec: KeySpec): void {
  if (plaintext.length > capacityOf(algorithm, keySpec)) throw doesNotFit(algorithm, keySpec);
}

export function doesNotFit(algorithm: string, keySpec: KeySpec, cause?: unknown): KmsException {
  const most = capacityOf(algorithm, keySpec);
  const message = `Algorithm ${algorithm} and key spec ${keySpec} cannot encrypt data larger than ${most} bytes.`;
  return new KmsException('ValidationException', message, { cause });
}

/** Of RSA-OAEP: modulus - 2 hash - 2 bytes (RFC 8017, 7.1.1). Symmetric encryption takes whatever a request can hold. */
export function capacityOf(algorithm: string, keySpec: KeySpec): number {
  const hash = hashBytes[algorithm];
  if (hash === undefined) return Infinity;
  const { bits = 0 }: KeySpecRow = keySpecs[keySpec];
  return bits / 8 - 2 * hash - 2;
}
