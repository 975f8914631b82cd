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
    case 'hmac':
      return isSecretOfSpec(key.symmetricKeySize ?? 0, { keySpec, origin });
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

/**
 * The same for a key that is bytes, by their number. An HMAC key made here is as long as its hash; an imported one may
 * be longer.
 */
export function isSecretOfSpec(length: number, { keySpec, origin }: Pick<BackingKey, 'keySpec' | 'origin'>): boolean {
  const least = secretLengthOf(keySpec)!;
  const mayBeLonger = keySpecs[keySpec].kind === 'hmac' && origin === 'EXTERNAL';
  return length >= least && length <= (mayBeLonger ? MAX_HMAC_BYTES : least);
}

/** The name that a KeyObject reports for curves with two names. */
const opensslCurves: Readonly<Partial<Record<string, string>>> = {
  'P-256': 'prime256v1',
  'P-384': 'secp384r1',
  'P-521': 'secp521r1',
};
