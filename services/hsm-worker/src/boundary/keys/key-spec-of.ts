import type { KeyObject } from 'node:crypto';
import { type KeySpec, keySpecs } from '@keyfleet/shared/key-specs';

/** Bytes of a symmetric or HMAC key; `undefined` for key pairs. An HMAC key is as long as its hash (AWS: "HMAC keys in AWS KMS"). */
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

/** Whether key material is what is made for a spec here: a token may say one spec, and hold a shorter key or another curve. */
export function isOfSpec(key: KeyObject, keySpec: KeySpec): boolean {
  const row = keySpecs[keySpec];
  const { asymmetricKeyType: type, asymmetricKeyDetails: details } = key;
  switch (row.kind) {
    case 'symmetric':
    case 'hmac':
      return key.symmetricKeySize === secretLengthOf(keySpec);
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

/** What a KeyObject says for the curves that have two names. */
const opensslCurves: Readonly<Partial<Record<string, string>>> = {
  'P-256': 'prime256v1',
  'P-384': 'secp384r1',
  'P-521': 'secp521r1',
};
