import { type ExceptionCode, KmsException } from '@keyfleet/shared/errors/exceptions';
import { algorithmsOf, type KeyState, type KeyUsage } from '@keyfleet/shared/key-specs';
import { lacksMaterial } from './backing-keys.ts';
import type { KmsKey } from './kms-key.ts';

/** How AWS refuses a key in a certain state: the code, and the end of the sentence about the key's ARN. */
type StateRefusal = readonly [ExceptionCode, string];

const disabled: StateRefusal = ['DisabledException', 'is disabled.'];
const pendingDeletion: StateRefusal = ['KMSInvalidStateException', 'is pending deletion.'];
const notPendingDeletion: StateRefusal = ['KMSInvalidStateException', 'is not pending deletion.'];
const pendingImport: StateRefusal = ['KMSInvalidStateException', 'is pending import.'];
const neverImported: StateRefusal = [
  'UnsupportedOperationException',
  'origin is EXTERNAL which is not valid for this operation.',
];
const unavailable: StateRefusal = ['KMSInvalidStateException', 'is unavailable.'];
const creating: StateRefusal = ['KMSInvalidStateException', 'is creating.'];
const updating: StateRefusal = ['KMSInvalidStateException', 'is updating.'];

type Row = Readonly<Partial<Record<KeyState, StateRefusal>>>;

const anyState: Row = {};
const notDeleting: Row = { PendingDeletion: pendingDeletion };
const usable: Row = {
  Disabled: disabled,
  PendingDeletion: pendingDeletion,
  PendingImport: pendingImport,
  Unavailable: unavailable,
  Creating: creating,
};
/**
 * The guide lists PendingImport as allowed. Reports from AWS and common sense say otherwise: there is no public key
 * yet.
 */
const publicKeyReadable: Row = { PendingDeletion: pendingDeletion, PendingImport: pendingImport, Creating: creating };
/** Includes a key that has its material: it may be given another expiry date. */
const importable: Row = { PendingDeletion: pendingDeletion, Creating: creating };
const materialDeletable: Row = { Creating: creating, Updating: updating };
const switchable: Row = {
  PendingDeletion: pendingDeletion,
  PendingImport: pendingImport,
  Creating: creating,
  Updating: updating,
};
/** PendingImport passes here; the origin is refused instead. */
const rotationSettable: Row = { Disabled: disabled, PendingDeletion: pendingDeletion, Creating: creating };

/**
 * Source: AWS KMS Developer Guide "Key states of AWS KMS keys". An operation on a key that has no row here does not
 * start.
 */
const rows = {
  CancelKeyDeletion: {
    Enabled: notPendingDeletion,
    Disabled: notPendingDeletion,
    PendingImport: notPendingDeletion,
    Unavailable: notPendingDeletion,
    Creating: notPendingDeletion,
    Updating: notPendingDeletion,
  },
  CreateAlias: notDeleting,
  CreateGrant: usable,
  Decapsulate: usable,
  Decrypt: usable,
  DeleteAlias: anyState,
  DeleteImportedKeyMaterial: materialDeletable,
  DeriveSharedSecret: usable,
  DescribeKey: anyState,
  DisableKey: switchable,
  DisableKeyRotation: rotationSettable,
  EnableKey: switchable,
  EnableKeyRotation: rotationSettable,
  Encapsulate: usable,
  Encrypt: usable,
  GenerateDataKey: usable,
  GenerateDataKeyPair: usable,
  GenerateDataKeyPairWithoutPlaintext: usable,
  GenerateDataKeyWithoutPlaintext: usable,
  GenerateMac: usable,
  GetKeyLastUsage: anyState,
  GetKeyPolicy: anyState,
  GetKeyRotationStatus: { PendingImport: neverImported },
  GetParametersForImport: { ...importable, Updating: updating },
  GetPublicKey: publicKeyReadable,
  ImportKeyMaterial: importable,
  ListAliases: anyState,
  ListGrants: anyState,
  ListKeyPolicies: anyState,
  ListKeyRotations: anyState,
  ListResourceTags: anyState,
  PutKeyPolicy: anyState,
  ReEncrypt: usable,
  ReplicateKey: { ...usable, Updating: updating },
  RetireGrant: anyState,
  RevokeGrant: anyState,
  RotateKeyOnDemand: { ...rotationSettable, PendingImport: pendingImport },
  ScheduleKeyDeletion: { ...notDeleting, Updating: updating },
  Sign: usable,
  TagResource: notDeleting,
  UntagResource: notDeleting,
  /** Applies to the new target; the old one may be in any state. */
  UpdateAlias: notDeleting,
  UpdateKeyDescription: notDeleting,
  UpdatePrimaryRegion: usable,
  Verify: usable,
  VerifyMac: usable,
} as const satisfies Record<string, Row>;

export type KeyOperationName = keyof typeof rows;

/**
 * PendingImport from the moment any of its material expires, whenever that is destroyed. `away`: the key's custom key
 * store is not connected.
 */
export function stateAt(key: KmsKey, now: number, away = false): KeyState {
  const { state } = key;
  if (isPendingDeletion(key) || state === 'Creating') return state;
  if (away) return 'Unavailable';
  if (lacksMaterial(key, now)) return 'PendingImport';
  return state === 'Enabled' && isUpdating(key) ? 'Updating' : state;
}

/** Whether the deletion date is set, or will be once the key's last replica is gone. */
export function isPendingDeletion({ state }: Pick<KmsKey, 'state'>): boolean {
  return state === 'PendingDeletion' || state === 'PendingReplicaDeletion';
}

/** True for the old and the new primary. */
function isUpdating({ region, related }: KmsKey): boolean {
  return related?.next !== undefined && (region === related.primary || region === related.next);
}

/** Throws AWS's refusal if `operation` does not work on a key in its state at `now`. */
export function assertKeyState(operation: string, key: KmsKey, now: number, away = false): void {
  const row: Row | undefined = rows[operation as KeyOperationName];
  if (row === undefined) throw new Error(`no key state row for ${operation}`);
  const refusal = row[isPendingDeletion(key) ? 'PendingDeletion' : stateAt(key, now, away)];
  if (refusal) throw new KmsException(refusal[0], `${key.arn} ${refusal[1]}`);
}

/** Throws InvalidKeyUsageException unless the key is for `usage`. `operation` is AWS's name. */
export function assertUsage(key: KmsKey, usage: KeyUsage, operation: string): void {
  if (key.keyUsage === usage) return;
  throw new KmsException(
    'InvalidKeyUsageException',
    `${key.arn} key usage is ${key.keyUsage} which is not valid for ${operation}.`,
  );
}

/** Throws InvalidKeyUsageException unless the key supports `algorithm`. */
export function assertAlgorithm(key: KmsKey, algorithm: string): void {
  if (algorithmsOf(key).includes(algorithm)) return;
  throw new KmsException(
    'InvalidKeyUsageException',
    `Algorithm ${algorithm} is incompatible with key spec ${key.keySpec}.`,
  );
}
