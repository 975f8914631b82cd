import { type KeySpec, keySpecs } from '@keyfleet/shared/key-specs';

/**
 * Requests a second that AWS takes from an account in a Region, where it takes most other Regions' numbers (KMS Developer Guide, "Request quotas").
 * Requests of one class share its rate: cryptography by the kind of key, everything else by its operation.
 */
export const awsRates = {
  SymmetricCryptography: 10_000,
  RsaCryptography: 1_000,
  EccCryptography: 1_000,
  MlCryptography: 1_000,
  'GenerateDataKeyPair/RSA_2048': 20,
  'GenerateDataKeyPair/RSA_3072': 4,
  'GenerateDataKeyPair/RSA_4096': 1,
  'GenerateDataKeyPair/SM2': 25,
  'GenerateDataKeyPair/ECC': 100,
  CancelKeyDeletion: 5,
  ConnectCustomKeyStore: 5,
  CreateAlias: 5,
  CreateCustomKeyStore: 5,
  CreateGrant: 50,
  CreateKey: 5,
  DeleteAlias: 15,
  DeleteCustomKeyStore: 5,
  DeleteImportedKeyMaterial: 15,
  DescribeCustomKeyStores: 5,
  DescribeKey: 2_000,
  DisableKey: 5,
  DisableKeyRotation: 5,
  DisconnectCustomKeyStore: 5,
  EnableKey: 5,
  EnableKeyRotation: 15,
  GetKeyLastUsage: 5,
  GetKeyPolicy: 1_000,
  GetKeyRotationStatus: 1_000,
  GetParametersForImport: 1,
  GetPublicKey: 2_000,
  ImportKeyMaterial: 15,
  ListAliases: 500,
  ListGrants: 100,
  ListKeyPolicies: 100,
  ListKeyRotations: 100,
  ListKeys: 500,
  ListResourceTags: 2_000,
  ListRetirableGrants: 100,
  PutKeyPolicy: 15,
  ReplicateKey: 5,
  RetireGrant: 50,
  RevokeGrant: 50,
  RotateKeyOnDemand: 5,
  ScheduleKeyDeletion: 15,
  TagResource: 10,
  UntagResource: 5,
  UpdateAlias: 5,
  UpdateCustomKeyStore: 5,
  UpdateKeyDescription: 5,
  UpdatePrimaryRegion: 5,
} as const;

export type RateClass = keyof typeof awsRates;
export type Rates = Readonly<Record<RateClass, number>>;

export const rateClasses = Object.keys(awsRates) as [RateClass, ...RateClass[]];

/** Of which kind of cryptography they are is known with their key. */
const byKey: ReadonlySet<string> = new Set([
  'Encrypt',
  'Decrypt',
  'ReEncrypt',
  'Sign',
  'Verify',
  'DeriveSharedSecret',
  'Encapsulate',
  'Decapsulate',
]);
const symmetric: ReadonlySet<string> = new Set([
  'GenerateDataKey',
  'GenerateDataKeyWithoutPlaintext',
  'GenerateMac',
  'GenerateRandom',
  'VerifyMac',
]);

/** The class of a request; undefined when its key decides. `keyPairSpec`: of the data key pair that it asks for. */
export function rateClassOf(operation: string, keyPairSpec?: unknown): RateClass | undefined {
  if (byKey.has(operation)) return undefined;
  if (symmetric.has(operation)) return 'SymmetricCryptography';
  if (operation.startsWith('GenerateDataKeyPair')) return pairClassOf(keyPairSpec);
  return operation as RateClass;
}

/** Of no key, since it was not found or the caller may not use it: as of most keys. */
export function rateClassOfKey(keySpec: KeySpec | undefined): RateClass {
  switch (keySpec === undefined ? 'symmetric' : keySpecs[keySpec].kind) {
    case 'rsa':
      return 'RsaCryptography';
    case 'symmetric':
    case 'hmac':
      return 'SymmetricCryptography';
    case 'ml-dsa':
    case 'ml-kem':
      return 'MlCryptography';
    default:
      return 'EccCryptography';
  }
}

function pairClassOf(keyPairSpec: unknown): RateClass {
  const own = `GenerateDataKeyPair/${String(keyPairSpec)}`;
  return Object.hasOwn(awsRates, own) ? (own as RateClass) : 'GenerateDataKeyPair/ECC';
}
