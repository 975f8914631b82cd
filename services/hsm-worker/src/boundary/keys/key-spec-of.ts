import { type KeySpec, keySpecs } from '@keyfleet/shared/key-specs';
import type { BackingKey } from './backing-keys.ts';

/**
 * The length in bytes of a symmetric or HMAC key; `undefined` for key pairs. An HMAC key is as long as its hash (AWS:
 * "HMAC keys in AWS KMS").
 */
export function secretLengthOf(keySpec: KeySpec): number | undefined {
  const row = keySpecs[keySpec];
  switch (row.kind) {
    case 'symmetric':
      return 32;
    case 'hmac':
      return row.bits / 8;
    default:
      return undefined;
  }
}

/** The longest HMAC key accepted: 1024 bits (AWS: "Requirements for imported key material"). */
const MAX_HMAC_BYTES = 128;

/** Whether key material fits its spec: a token may claim one spec but hold a shorter key or another curve. */
export function isOfSpec({ key, keySpec, origin }: Pick<BackingKey, 'key' | 'keySpec' | 'origin'>): boolean {
  const row = keySpecs[keySpec];
  const { asymmetricKeyType: type, asymmetricKeyDetails: details } = key;
  switch (row.kind) {
    case 'symmetric':
      return key.symmetricKeySize === secretLengthOf(keySpec);
    case 'hmac':
      return isHmacLength(key.symmetricKeySize ?? 0, { bits: row.bits, origin });
    case 'rsa':
      return type === 'rsa' && details?.modulusLength === row.bits && details.publicExponent === 65537n;
    case 'ec':
      return type === 'ec' && details?.namedCurve === (opensslCurves[row.curve] ?? row.curve);
    case 'ed25519':
      return type === 'ed25519';
    case 'ml-dsa':
    case 'ml-kem':
      return type === row.parameterSet;
    default:
      return false;
  }
}

/** Keys made here are as long as their hash. Imported ones may be longer, but not shorter. */
function isHmacLength(length: number, { bits, origin }: { bits: number; origin: BackingKey['origin'] }): boolean {
  const least = bits / 8;
  return length >= least && length <= (origin === 'EXTERNAL' ? MAX_HMAC_BYTES : least);
}

/** The name that a KeyObject reports for curves with two names. */
const opensslCurves: Readonly<Partial<Record<string, string>>> = {
  'P-256': 'prime256v1',
  'P-384': 'secp384r1',
  'P-521': 'secp521r1',
};
