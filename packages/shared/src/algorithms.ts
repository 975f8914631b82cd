// Every algorithm's name, in the order of AWS's model. Which key spec offers which: key-specs.ts.

export const encryptionAlgorithms = ['SYMMETRIC_DEFAULT', 'RSAES_OAEP_SHA_1', 'RSAES_OAEP_SHA_256', 'SM2PKE'] as const;
export const macAlgorithms = ['HMAC_SHA_224', 'HMAC_SHA_256', 'HMAC_SHA_384', 'HMAC_SHA_512'] as const;
export const keyAgreementAlgorithms = ['ECDH'] as const;
export const encapsulationAlgorithms = ['ML_KEM'] as const;
export const signingAlgorithms = [
  'RSASSA_PSS_SHA_256',
  'RSASSA_PSS_SHA_384',
  'RSASSA_PSS_SHA_512',
  'RSASSA_PKCS1_V1_5_SHA_256',
  'RSASSA_PKCS1_V1_5_SHA_384',
  'RSASSA_PKCS1_V1_5_SHA_512',
  'ECDSA_SHA_256',
  'ECDSA_SHA_384',
  'ECDSA_SHA_512',
  'ED25519_SHA_512',
  'ED25519_PH_SHA_512',
  'SM2DSA',
  'ML_DSA_SHAKE_256',
] as const;

export type EncryptionAlgorithm = (typeof encryptionAlgorithms)[number];
export type MacAlgorithm = (typeof macAlgorithms)[number];
export type KeyAgreementAlgorithm = (typeof keyAgreementAlgorithms)[number];
export type EncapsulationAlgorithm = (typeof encapsulationAlgorithms)[number];
export type SigningAlgorithm = (typeof signingAlgorithms)[number];

/** SM2 is offered in China Regions only, and not by Keyfleet. */
export type OfferedEncryptionAlgorithm = Exclude<EncryptionAlgorithm, 'SM2PKE'>;
export type OfferedSigningAlgorithm = Exclude<SigningAlgorithm, 'SM2DSA'>;

export const messageTypes = ['RAW', 'DIGEST', 'EXTERNAL_MU'] as const;
export type MessageType = (typeof messageTypes)[number];

/** The lengths in bytes that `Message` must have, by message type; null: any. An absent type is refused. */
type SignableLengths = Readonly<Partial<Record<MessageType, number | null>>>;

const sha256: SignableLengths = { RAW: null, DIGEST: 32 };
const sha384: SignableLengths = { RAW: null, DIGEST: 48 };
const sha512: SignableLengths = { RAW: null, DIGEST: 64 };

/**
 * What each algorithm signs. Source: AWS KMS API Reference "Sign". RAW and DIGEST lead to the same signature, except
 * for Ed25519, which hashes whole messages itself, and Ed25519ph, which takes only digests.
 */
export const signableLengths: Readonly<Record<OfferedSigningAlgorithm, SignableLengths>> = {
  RSASSA_PSS_SHA_256: sha256,
  RSASSA_PSS_SHA_384: sha384,
  RSASSA_PSS_SHA_512: sha512,
  RSASSA_PKCS1_V1_5_SHA_256: sha256,
  RSASSA_PKCS1_V1_5_SHA_384: sha384,
  RSASSA_PKCS1_V1_5_SHA_512: sha512,
  ECDSA_SHA_256: sha256,
  ECDSA_SHA_384: sha384,
  ECDSA_SHA_512: sha512,
  ED25519_SHA_512: { RAW: null },
  ED25519_PH_SHA_512: { DIGEST: 64 },
  ML_DSA_SHAKE_256: { RAW: null, EXTERNAL_MU: 64 },
};

/** How imported key material may be wrapped. AWS lists others, but refuses them or has them only in China. */
export const wrappingAlgorithms = [
  'RSAES_OAEP_SHA_1',
  'RSAES_OAEP_SHA_256',
  'RSA_AES_KEY_WRAP_SHA_1',
  'RSA_AES_KEY_WRAP_SHA_256',
] as const;
export type WrappingAlgorithm = (typeof wrappingAlgorithms)[number];

/** The RSA key pairs that wrap it. */
export const wrappingKeySpecs = ['RSA_2048', 'RSA_3072', 'RSA_4096'] as const;
export type WrappingKeySpec = (typeof wrappingKeySpecs)[number];
