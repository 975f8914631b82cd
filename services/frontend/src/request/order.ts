import type { InputOf } from '@keyfleet/shared/api/operation';
import type { OperationName, operations } from '@keyfleet/shared/api/registry';
import { type Step, work } from './check.ts';
import {
  grantConstraints,
  grantId,
  grantOperations,
  grantPrincipals,
  ownRetiring,
  retirement,
  revokedGrant,
} from './checks-on-grants.ts';
import {
  aliasKind,
  aliasName,
  aliasTarget,
  automaticRotation,
  expiration,
  importedMaterial,
  importedOrigin,
  importType,
  keyKind,
  keyPolicy,
  newAliasName,
  nextPrimary,
  noReplica,
  onDemandRotation,
  ownOrigin,
  pendingWindow,
  policyName,
  primary,
  publicKey,
  replicaRegion,
  rotations,
  tagKeys,
  tags,
  wrapping,
} from './checks-on-keys.ts';
import {
  access,
  algorithm,
  ciphertext,
  ciphertextKey,
  dataKeySize,
  dryRun,
  dryRunWithoutCiphertext,
  encryptionContext,
  grantTokens,
  message,
  numberOfBytes,
  outsideStores,
  plaintextSize,
  randomSource,
  recipient,
  state,
  symmetric,
  usage,
} from './checks-on-use.ts';

type Table = { readonly [N in OperationName]?: readonly Step<InputOf<(typeof operations)[N]>>[] };

/** For ReEncrypt's keys. */
const DESTINATION = 1;

/**
 * The order of checks: the first that fails refuses the request. Each edge has already made its own, the same for every
 * operation: the signature, the members' types, no alias where only a key is allowed, the members' constraints. Checks
 * after `work` apply only to a request that would have succeeded.
 *
 * Where AWS's order is known we follow it: usage before state, state before algorithm, both after a data key's size;
 * and before them all, whether the ciphertext belongs to the named key.
 */
const order = {
  CreateKey: [access, keyKind, tags, keyPolicy, work],
  DescribeKey: [grantTokens, access, state, work],
  ListKeys: [access, work],
  EnableKey: [access, state, work],
  DisableKey: [access, state, work],
  ScheduleKeyDeletion: [access, state, pendingWindow, work],
  CancelKeyDeletion: [access, state, work],
  UpdateKeyDescription: [access, state, work],
  GetPublicKey: [grantTokens, access, state, publicKey, work],
  GetKeyLastUsage: [access, state, work],

  CreateAlias: [aliasName, aliasTarget, access, state, newAliasName, work],
  UpdateAlias: [aliasName, aliasTarget, access, state, aliasKind, work],
  DeleteAlias: [aliasName, access, work],
  ListAliases: [access, work],

  CreateGrant: [grantTokens, access, state, grantPrincipals, grantOperations, grantConstraints, dryRun, work],
  ListGrants: [access, state, grantId, work],
  ListRetirableGrants: [access, ownRetiring, work],
  RetireGrant: [grantId, retirement, dryRun, work],
  RevokeGrant: [access, state, grantId, revokedGrant, dryRun, work],

  GetKeyPolicy: [access, state, policyName, work],
  PutKeyPolicy: [access, state, policyName, keyPolicy, work],
  ListKeyPolicies: [access, state, work],

  TagResource: [access, state, tags, work],
  UntagResource: [access, state, tagKeys, work],
  ListResourceTags: [access, state, work],

  EnableKeyRotation: [access, state, automaticRotation, work],
  DisableKeyRotation: [access, state, ownOrigin, noReplica, work],
  GetKeyRotationStatus: [access, state, work],
  RotateKeyOnDemand: [access, state, onDemandRotation, work],
  ListKeyRotations: [access, state, rotations, work],

  GetParametersForImport: [access, state, importedOrigin, wrapping, work],
  ImportKeyMaterial: [access, state, importedOrigin, expiration, importType, work],
  DeleteImportedKeyMaterial: [access, state, importedOrigin, importedMaterial, work],

  ReplicateKey: [access, state, primary, replicaRegion, tags, keyPolicy, work],
  UpdatePrimaryRegion: [access, state, primary, nextPrimary, work],

  CreateCustomKeyStore: [access, work],
  UpdateCustomKeyStore: [access, work],
  DeleteCustomKeyStore: [access, work],
  DescribeCustomKeyStores: [access, work],
  ConnectCustomKeyStore: [access, work],
  DisconnectCustomKeyStore: [access, work],

  Encrypt: [
    grantTokens,
    access,
    usage('ENCRYPT_DECRYPT'),
    state,
    algorithm('EncryptionAlgorithm'),
    encryptionContext('EncryptionContext', 'EncryptionAlgorithm'),
    plaintextSize,
    dryRun,
    work,
  ],
  Decrypt: [
    ciphertext,
    grantTokens,
    access,
    ciphertextKey('EncryptionAlgorithm'),
    state,
    algorithm('EncryptionAlgorithm'),
    encryptionContext('EncryptionContext', 'EncryptionAlgorithm'),
    recipient,
    dryRunWithoutCiphertext,
    work,
    dryRun,
  ],
  ReEncrypt: [
    ciphertext,
    grantTokens,
    access,
    ciphertextKey('SourceEncryptionAlgorithm'),
    usage('ENCRYPT_DECRYPT', DESTINATION),
    state,
    algorithm('SourceEncryptionAlgorithm'),
    algorithm('DestinationEncryptionAlgorithm', DESTINATION),
    encryptionContext('SourceEncryptionContext', 'SourceEncryptionAlgorithm'),
    encryptionContext('DestinationEncryptionContext', 'DestinationEncryptionAlgorithm'),
    dryRunWithoutCiphertext,
    work,
    dryRun,
  ],

  GenerateDataKey: [
    grantTokens,
    access,
    dataKeySize,
    usage('ENCRYPT_DECRYPT'),
    state,
    symmetric,
    recipient,
    dryRun,
    work,
  ],
  GenerateDataKeyWithoutPlaintext: [
    grantTokens,
    access,
    dataKeySize,
    usage('ENCRYPT_DECRYPT'),
    state,
    symmetric,
    dryRun,
    work,
  ],
  GenerateDataKeyPair: [
    grantTokens,
    access,
    usage('ENCRYPT_DECRYPT'),
    outsideStores,
    state,
    symmetric,
    recipient,
    dryRun,
    work,
  ],
  GenerateDataKeyPairWithoutPlaintext: [
    grantTokens,
    access,
    usage('ENCRYPT_DECRYPT'),
    outsideStores,
    state,
    symmetric,
    dryRun,
    work,
  ],

  Sign: [grantTokens, access, usage('SIGN_VERIFY'), state, algorithm('SigningAlgorithm'), message, dryRun, work],
  Verify: [grantTokens, access, usage('SIGN_VERIFY'), state, algorithm('SigningAlgorithm'), message, work, dryRun],
  GenerateMac: [grantTokens, access, usage('GENERATE_VERIFY_MAC'), state, algorithm('MacAlgorithm'), dryRun, work],
  VerifyMac: [grantTokens, access, usage('GENERATE_VERIFY_MAC'), state, algorithm('MacAlgorithm'), work, dryRun],

  DeriveSharedSecret: [
    grantTokens,
    access,
    usage('KEY_AGREEMENT'),
    state,
    algorithm('KeyAgreementAlgorithm'),
    recipient,
    work,
    dryRun,
  ],
  Encapsulate: [
    grantTokens,
    access,
    usage('ENCAPSULATE_DECAPSULATE'),
    state,
    algorithm('EncapsulationAlgorithm'),
    dryRun,
    work,
  ],
  Decapsulate: [
    grantTokens,
    access,
    usage('ENCAPSULATE_DECAPSULATE'),
    state,
    algorithm('EncapsulationAlgorithm'),
    work,
    dryRun,
  ],

  GenerateRandom: [access, numberOfBytes, recipient, randomSource, work],
} as const satisfies Table;

/** What the edges check first, the same for every request. */
export const checkedByTheEdge = [
  'the JSON is JSON and the operation is one',
  'the signature',
  'the types of the members',
  'no alias is named where only a key may be',
  'the constraints of the members',
] as const;

/** A step as the pipeline sees it: the input's type is the operation's own. */
export type AnyStep = Step<Readonly<Record<string, unknown>>>;

/** Throws for an operation without an order, so that the service does not start. */
export function stepsOf(operation: string): readonly AnyStep[] {
  if (!Object.hasOwn(order, operation)) throw new Error(`no order of checks for ${operation}`);
  return order[operation as keyof typeof order] as readonly Step<never>[] as readonly AnyStep[];
}
