/** Ours, and the same in every profile: of what costs much more than a request does. */
const ownRates = {
  /**
   * Pages of grants that decisions read beyond the usual ones. A page costs Redis and a frontend 16 or 25 look-ups, and
   * as many records; an account may have 50,000 grants on a key.
   */
  GrantPages: 500,
  /** Pieces of work of simulations beyond a usual request of IAM. One takes as long as such a request, some 0.4 ms. */
  Simulations: 250,
  /**
   * 6 kB that policies take which are compiled, as they are at their first use, or again after others took their place.
   * They take some 20 µs: an account's policies a twentieth of a core.
   */
  PolicyReads: 2_500,
  /**
   * Records that are read to know who an account's callers are and what they may, and for its requests of IAM and STS;
   * of a long one each 8 KiB (record-reads.ts). They take a twentieth of Redis's thread, and a fifth of a frontend's.
   * An identity of usual size has ten: an account whose identities all changed has 400 read in a second. The largest
   * that IAM's quotas allow has 1,900, and is read twice.
   */
  RecordReads: 4_000,
} as const;

/**
 * Requests per second that AWS takes from an account in a Region, using the numbers for most Regions (KMS Developer
 * Guide, "Request quotas"). Requests of one class share its rate: cryptography by kind of key, everything else by
 * operation.
 */
export const awsRates = {
  /** AWS's number for all of STS (IAM User Guide, "IAM and AWS STS quotas"). */
  Sts: 600,
  /** AWS publishes no numbers for IAM; these are about what it takes. */
  IamRead: 100,
  IamWrite: 20,
  ...ownRates,
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

const factors = { aws: 1, generous: 1_000 } as const;

export interface RequestQuotas {
  readonly profile: keyof typeof factors;
  /** Override the profile's rates. */
  readonly perSecond: Readonly<Partial<Record<RateClass, number | undefined>>>;
}

/** Requests per second for each class. */
export function ratesOf({ profile, perSecond }: RequestQuotas): Rates {
  const entries = Object.entries(awsRates) as [RateClass, number][];
  const factorOf = (name: RateClass): number => (Object.hasOwn(ownRates, name) ? 1 : factors[profile]);
  const rates = entries.map(([name, rate]) => [name, perSecond[name] ?? rate * factorOf(name)] as const);
  return Object.fromEntries(rates) as Record<RateClass, number>;
}
