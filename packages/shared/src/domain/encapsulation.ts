import { createPublicKey, type KeyObject } from 'node:crypto';
import { DomainError } from './domain-error.ts';

/** ML-KEM-1024 (FIPS 203), the parameter set at least as strong as P-384. Raw bytes. */
export const kem = 'ml-kem-1024';
export const encapsulationKeyLength = 1568;
export const encapsulatedLength = 1568;

/** Throws `DomainError('malformed')` unless `raw` is an encapsulation key (FIPS 203, section 7.2). */
export function encapsulationKeyOf(raw: Uint8Array): KeyObject {
  try {
    return createPublicKey({ key: Buffer.from(raw), format: 'raw-public', asymmetricKeyType: kem });
  } catch (cause) {
    throw new DomainError('malformed', 'not an ML-KEM-1024 public key', { cause });
  }
}
