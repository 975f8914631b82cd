import type {
  EncapsulationAlgorithm,
  EncryptionAlgorithm,
  KeyAgreementAlgorithm,
  MacAlgorithm,
  SigningAlgorithm,
} from './algorithms.ts';

// Everything that a KMS key can be: usages, origins, states and specs, each list in the order of AWS's model.

export const keyUsages = [
  'ENCRYPT_DECRYPT',
  'SIGN_VERIFY',
  'GENERATE_VERIFY_MAC',
  'KEY_AGREEMENT',
  'ENCAPSULATE_DECAPSULATE',
] as const;
export type KeyUsage = (typeof keyUsages)[number];

/** Origins whose key material the HSMs hold. */
export const ownOrigins = ['AWS_KMS', 'EXTERNAL'] as const;
export const origins = [...ownOrigins, 'AWS_CLOUDHSM', 'EXTERNAL_KEY_STORE'] as const;
export type Origin = (typeof origins)[number];

export const keyStates = [
  'Creating',
  'Enabled',
  'Disabled',
  'PendingDeletion',
  'PendingImport',
  'PendingReplicaDeletion',
  'Unavailable',
  'Updating',
] as const;
export type KeyState = (typeof keyStates)[number];
/** The states in key records. A key is Updating while its record says that another Region is becoming the primary. */
export type StoredKeyState = Exclude<KeyState, 'Updating'>;
export const storedKeyStates = keyStates.filter((state): state is StoredKeyState => state !== 'Updating');

export const rotationTypes = ['AUTOMATIC', 'ON_DEMAND'] as const;
export type RotationType = (typeof rotationTypes)[number];

/** The algorithms of each usage. */
interface Algorithms {
  readonly ENCRYPT_DECRYPT: EncryptionAlgorithm;
  readonly SIGN_VERIFY: SigningAlgorithm;
  readonly GENERATE_VERIFY_MAC: MacAlgorithm;
  readonly KEY_AGREEMENT: KeyAgreementAlgorithm;
  readonly ENCAPSULATE_DECAPSULATE: EncapsulationAlgorithm;
}

/**
 * Everything Keyfleet knows about a key spec, one row each. Source: AWS KMS Developer Guide "Key spec reference". Rows
 * are in the order of AWS's model; a row's algorithms are in the order in which the API returns them.
 */
export const keySpecs = {
  RSA_2048: rsa(2048),
  RSA_3072: rsa(3072),
  RSA_4096: rsa(4096),
  ECC_NIST_P256: nistCurve('P-256', 'ECDSA_SHA_256'),
  ECC_NIST_P384: nistCurve('P-384', 'ECDSA_SHA_384'),
  ECC_NIST_P521: nistCurve('P-521', 'ECDSA_SHA_512'),
  ECC_SECG_P256K1: row({
    kind: 'ec',
    curve: 'secp256k1',
    usages: { SIGN_VERIFY: ['ECDSA_SHA_256'] },
    origins: ownOrigins,
  }),
  SYMMETRIC_DEFAULT: row({
    kind: 'symmetric',
    usages: { ENCRYPT_DECRYPT: ['SYMMETRIC_DEFAULT'] },
    origins,
  }),
  HMAC_224: hmac(224),
  HMAC_256: hmac(256),
  HMAC_384: hmac(384),
  HMAC_512: hmac(512),
  /** China Regions only. Known only so that the answer is AWS's own error; never made. */
  SM2: row({
    kind: 'sm2',
    usages: { ENCRYPT_DECRYPT: ['SM2PKE'], SIGN_VERIFY: ['SM2DSA'], KEY_AGREEMENT: ['ECDH'] },
    origins: ownOrigins,
  }),
  ML_DSA_44: mlDsa('ml-dsa-44'),
  ML_DSA_65: mlDsa('ml-dsa-65'),
  ML_DSA_87: mlDsa('ml-dsa-87'),
  ECC_NIST_EDWARDS25519: row({
    kind: 'ed25519',
    usages: { SIGN_VERIFY: ['ED25519_SHA_512', 'ED25519_PH_SHA_512'] },
    origins: ownOrigins,
  }),
  ML_KEM_512: mlKem('ml-kem-512'),
  ML_KEM_768: mlKem('ml-kem-768'),
  ML_KEM_1024: mlKem('ml-kem-1024'),
} as const satisfies Record<string, KeySpecRow>;

export type KeySpec = keyof typeof keySpecs;
type KeySpecKind = KeySpecRow['kind'];
type SpecOf<K extends KeySpecKind> = { [S in KeySpec]: (typeof keySpecs)[S]['kind'] extends K ? S : never }[KeySpec];

/** The algorithms of a key with this spec and usage, in AWS's order; none if the spec does not allow the usage. */
export function algorithmsOf({ keySpec, keyUsage }: { keySpec: KeySpec; keyUsage: KeyUsage }): readonly string[] {
  const { usages }: KeySpecRow = keySpecs[keySpec];
  return usages[keyUsage] ?? [];
}

/** The key specs of the given kinds, in the order of `keySpecs`. */
export function specsOf<const K extends KeySpecKind>(...kinds: readonly K[]): readonly [SpecOf<K>, ...SpecOf<K>[]] {
  const names = Object.keys(keySpecs) as KeySpec[];
  return names.filter((name) => kinds.includes(keySpecs[name].kind as K)) as [SpecOf<K>, ...SpecOf<K>[]];
}

/** What GenerateDataKeyPair can make: every kind of key pair except ML-DSA's. */
export const dataKeyPairSpecs = specsOf('rsa', 'ec', 'ed25519', 'ml-kem');

export interface KeySpecRow {
  readonly kind: 'symmetric' | 'rsa' | 'ec' | 'ed25519' | 'hmac' | 'ml-dsa' | 'ml-kem' | 'sm2';
  /** The key usages that the spec allows, each with its algorithms. */
  readonly usages: { readonly [U in KeyUsage]?: readonly Algorithms[U][] };
  readonly origins: readonly Origin[];
  /** Length of the modulus (RSA) or key (HMAC) in bits. */
  readonly bits?: number;
  /** The curve's name in node:crypto. */
  readonly curve?: string;
  /** The parameter set's name in node:crypto. */
  readonly parameterSet?: string;
}

function row<const R extends KeySpecRow>(value: R): R {
  return value;
}

function rsa<const B extends number>(bits: B) {
  return row({
    kind: 'rsa',
    bits,
    usages: {
      ENCRYPT_DECRYPT: ['RSAES_OAEP_SHA_1', 'RSAES_OAEP_SHA_256'],
      SIGN_VERIFY: [
        'RSASSA_PKCS1_V1_5_SHA_256',
        'RSASSA_PKCS1_V1_5_SHA_384',
        'RSASSA_PKCS1_V1_5_SHA_512',
        'RSASSA_PSS_SHA_256',
        'RSASSA_PSS_SHA_384',
        'RSASSA_PSS_SHA_512',
      ],
    },
    origins: ownOrigins,
  });
}

function nistCurve<const C extends string, const A extends SigningAlgorithm>(curve: C, algorithm: A) {
  return row({
    kind: 'ec',
    curve,
    usages: { SIGN_VERIFY: [algorithm], KEY_AGREEMENT: ['ECDH'] },
    origins: ownOrigins,
  });
}

function hmac<const B extends 224 | 256 | 384 | 512>(bits: B) {
  return row({
    kind: 'hmac',
    bits,
    usages: { GENERATE_VERIFY_MAC: [`HMAC_SHA_${bits}`] },
    origins: ownOrigins,
  });
}

function mlDsa<const P extends string>(parameterSet: P) {
  return row({
    kind: 'ml-dsa',
    parameterSet,
    usages: { SIGN_VERIFY: ['ML_DSA_SHAKE_256'] },
    origins: ['AWS_KMS'],
  });
}

function mlKem<const P extends string>(parameterSet: P) {
  return row({
    kind: 'ml-kem',
    parameterSet,
    usages: { ENCAPSULATE_DECAPSULATE: ['ML_KEM'] },
    origins: ['AWS_KMS'],
  });
}
