import type { Operation } from '@keyfleet/shared/api/operation';
import type { OperationName, operations } from '@keyfleet/shared/api/registry';
import { KmsException } from '@keyfleet/shared/errors/exceptions';
import { decapsulate, deriveSharedSecret, encapsulate } from './agree.ts';
import { createAlias, deleteAlias, listAliases, updateAlias } from './aliases.ts';
import { decrypt, encrypt, reEncrypt } from './cipher.ts';
import { createKey } from './create-key.ts';
import {
  connectCustomKeyStore,
  createCustomKeyStore,
  deleteCustomKeyStore,
  describeCustomKeyStores,
  disconnectCustomKeyStore,
  updateCustomKeyStore,
} from './custom-key-stores.ts';
import {
  generateDataKey,
  generateDataKeyPair,
  generateDataKeyPairWithoutPlaintext,
  generateDataKeyWithoutPlaintext,
  generateRandom,
} from './data-keys.ts';
import type { Deps, Handler, KeyCall } from './handler.ts';
import { cancelKeyDeletion, scheduleKeyDeletion } from './key-deletion.ts';
import {
  describeKey,
  disableKey,
  enableKey,
  getKeyLastUsage,
  getPublicKey,
  listKeys,
  updateKeyDescription,
} from './keys.ts';
import { createGrant, listGrants, listRetirableGrants, retireGrant, revokeGrant } from './grants.ts';
import { deleteImportedKeyMaterial, getParametersForImport, importKeyMaterial } from './import.ts';
import { generateMac, verifyMac } from './mac.ts';
import { replicateKey, updatePrimaryRegion } from './multi-region.ts';
import { getKeyPolicy, listKeyPolicies, putKeyPolicy } from './policies.ts';
import {
  disableKeyRotation,
  enableKeyRotation,
  getKeyRotationStatus,
  listKeyRotations,
  rotateKeyOnDemand,
} from './rotation.ts';
import { sign, verify } from './sign.ts';
import { listResourceTags, tagResource, untagResource } from './tags.ts';

/** Every operation in this release, each with its one handler. */
const handlers = {
  CancelKeyDeletion: cancelKeyDeletion,
  ConnectCustomKeyStore: connectCustomKeyStore,
  CreateAlias: createAlias,
  CreateCustomKeyStore: createCustomKeyStore,
  CreateGrant: createGrant,
  CreateKey: createKey,
  Decapsulate: decapsulate,
  Decrypt: decrypt,
  DeleteAlias: deleteAlias,
  DeleteCustomKeyStore: deleteCustomKeyStore,
  DeleteImportedKeyMaterial: deleteImportedKeyMaterial,
  DeriveSharedSecret: deriveSharedSecret,
  DescribeCustomKeyStores: describeCustomKeyStores,
  DescribeKey: describeKey,
  DisableKey: disableKey,
  DisableKeyRotation: disableKeyRotation,
  DisconnectCustomKeyStore: disconnectCustomKeyStore,
  EnableKey: enableKey,
  EnableKeyRotation: enableKeyRotation,
  Encapsulate: encapsulate,
  Encrypt: encrypt,
  GenerateDataKey: generateDataKey,
  GenerateDataKeyPair: generateDataKeyPair,
  GenerateDataKeyPairWithoutPlaintext: generateDataKeyPairWithoutPlaintext,
  GenerateDataKeyWithoutPlaintext: generateDataKeyWithoutPlaintext,
  GenerateMac: generateMac,
  GenerateRandom: generateRandom,
  GetKeyLastUsage: getKeyLastUsage,
  GetKeyPolicy: getKeyPolicy,
  GetKeyRotationStatus: getKeyRotationStatus,
  GetParametersForImport: getParametersForImport,
  GetPublicKey: getPublicKey,
  ImportKeyMaterial: importKeyMaterial,
  ListAliases: listAliases,
  ListGrants: listGrants,
  ListKeyPolicies: listKeyPolicies,
  ListKeyRotations: listKeyRotations,
  ListKeys: listKeys,
  ListResourceTags: listResourceTags,
  PutKeyPolicy: putKeyPolicy,
  ListRetirableGrants: listRetirableGrants,
  ReEncrypt: reEncrypt,
  ReplicateKey: replicateKey,
  RetireGrant: retireGrant,
  RevokeGrant: revokeGrant,
  RotateKeyOnDemand: rotateKeyOnDemand,
  ScheduleKeyDeletion: scheduleKeyDeletion,
  Sign: sign,
  TagResource: tagResource,
  UntagResource: untagResource,
  UpdateAlias: updateAlias,
  UpdateCustomKeyStore: updateCustomKeyStore,
  UpdateKeyDescription: updateKeyDescription,
  UpdatePrimaryRegion: updatePrimaryRegion,
  Verify: verify,
  VerifyMac: verifyMac,
} satisfies { [N in OperationName]?: Handler<(typeof operations)[N]> };

/**
 * A handler as the pipeline sees it: its input is validated, and its call holds what its operation's access declares.
 */
export type AnyHandler = (input: Readonly<Record<string, unknown>>, call: KeyCall, deps: Deps) => Promise<unknown>;

/** Undefined for a known operation that this release lacks. */
export function findHandler(name: string): AnyHandler | undefined {
  return Object.hasOwn(handlers, name) ? (handlers[name as keyof typeof handlers] as AnyHandler) : undefined;
}

/** The answer to a known API operation that this release lacks: AWS's answer to an unknown operation. */
export function unavailable({ name }: Operation): KmsException {
  return new KmsException('UnknownOperationException', `kms:${name} is not available in this release of Keyfleet.`);
}
