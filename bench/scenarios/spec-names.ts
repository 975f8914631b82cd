import { type KeySpec, keySpecs, type KeyUsage } from '@keyfleet/shared/key-specs';

const short: Readonly<Partial<Record<KeySpec, string>>> = {
  SYMMETRIC_DEFAULT: 'symmetric',
  ECC_NIST_P256: 'p256',
  ECC_NIST_P384: 'p384',
  ECC_NIST_P521: 'p521',
  ECC_SECG_P256K1: 'secp256k1',
  ECC_NIST_EDWARDS25519: 'ed25519',
};

/** As it stands in scenarios' names: `rsa-2048`, `p256`. */
export function shortName(spec: KeySpec): string {
  return short[spec] ?? spec.toLowerCase().replaceAll('_', '-');
}

/** The key specs that a key with this usage can have; SM2 is China's alone. */
export function specsFor(usage: KeyUsage): KeySpec[] {
  const all = Object.keys(keySpecs) as KeySpec[];
  return all.filter((spec) => spec !== 'SM2' && usage in keySpecs[spec].usages);
}
