import type { KeySpec, keySpecs } from './key-specs.ts';

/** Lengths in bytes that `Message` must have by message type; null: any. A type that is not there is refused. */
interface SigningAlgorithmRow {
  readonly RAW?: null;
  readonly DIGEST?: number;
  readonly EXTERNAL_MU?: number;
}

export type MessageType = keyof SigningAlgorithmRow;

const sha256: SigningAlgorithmRow = { RAW: null, DIGEST: 32 };
const sha384: SigningAlgorithmRow = { RAW: null, DIGEST: 48 };
const sha512: SigningAlgorithmRow = { RAW: null, DIGEST: 64 };

/**
 * What each signing algorithm can sign. Source: AWS KMS API Reference "Sign". Ed25519 hashes whole messages itself and
 * Ed25519ph takes digests only, so for these two, alone, RAW and DIGEST are not two ways to one signature.
 */
export const signingAlgorithms = {
  RSASSA_PKCS1_V1_5_SHA_256: sha256,
  RSASSA_PKCS1_V1_5_SHA_384: sha384,
  RSASSA_PKCS1_V1_5_SHA_512: sha512,
  RSASSA_PSS_SHA_256: sha256,
  RSASSA_PSS_SHA_384: sha384,
  RSASSA_PSS_SHA_512: sha512,
  ECDSA_SHA_256: sha256,
  ECDSA_SHA_384: sha384,
  ECDSA_SHA_512: sha512,
  ED25519_SHA_512: { RAW: null },
  ED25519_PH_SHA_512: { DIGEST: 64 },
  ML_DSA_SHAKE_256: { RAW: null, EXTERNAL_MU: 64 },
} as const satisfies Record<OfferedAlgorithm, SigningAlgorithmRow>;

type SigningUsage<S extends KeySpec> = (typeof keySpecs)[S]['usages'] extends { SIGN_VERIFY: readonly (infer A)[] }
  ? A
  : never;
/** Every algorithm that a key of a spec we make offers: a row that is missing does not compile. */
type OfferedAlgorithm = { [S in Exclude<KeySpec, 'SM2'>]: SigningUsage<S> }[Exclude<KeySpec, 'SM2'>];
