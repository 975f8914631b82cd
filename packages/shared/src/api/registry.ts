import {
  CancelKeyDeletion,
  CreateKey,
  DescribeKey,
  DisableKey,
  EnableKey,
  GetKeyLastUsage,
  GetPublicKey,
  ListKeys,
  ScheduleKeyDeletion,
  UpdateKeyDescription,
} from './keys.ts';
import { CreateAlias, DeleteAlias, ListAliases, UpdateAlias } from './aliases.ts';
import { GetKeyPolicy, ListKeyPolicies, PutKeyPolicy } from './policies.ts';
import { CreateGrant, ListGrants, ListRetirableGrants, RetireGrant, RevokeGrant } from './grants.ts';
import { ListResourceTags, TagResource, UntagResource } from './tags.ts';
import {
  DisableKeyRotation,
  EnableKeyRotation,
  GetKeyRotationStatus,
  ListKeyRotations,
  RotateKeyOnDemand,
} from './rotation.ts';
import { DeleteImportedKeyMaterial, GetParametersForImport, ImportKeyMaterial } from './import.ts';
import { ReplicateKey, UpdatePrimaryRegion } from './multi-region.ts';
import {
  ConnectCustomKeyStore,
  CreateCustomKeyStore,
  DeleteCustomKeyStore,
  DescribeCustomKeyStores,
  DisconnectCustomKeyStore,
  UpdateCustomKeyStore,
} from './custom-key-stores.ts';
import { Decrypt, Encrypt, ReEncrypt } from './cipher.ts';
import {
  GenerateDataKey,
  GenerateDataKeyPair,
  GenerateDataKeyPairWithoutPlaintext,
  GenerateDataKeyWithoutPlaintext,
} from './data-keys.ts';
import { Sign, Verify } from './sign.ts';
import { GenerateMac, VerifyMac } from './mac.ts';
import { Decapsulate, DeriveSharedSecret, Encapsulate } from './agree.ts';
import { GenerateRandom } from './random.ts';
import type { Operation } from './operation.ts';

/** Every operation of the API: the only list. */
export const operations = {
  CreateKey,
  DescribeKey,
  ListKeys,
  EnableKey,
  DisableKey,
  ScheduleKeyDeletion,
  CancelKeyDeletion,
  UpdateKeyDescription,
  GetPublicKey,
  GetKeyLastUsage,
  CreateAlias,
  UpdateAlias,
  DeleteAlias,
  ListAliases,
  GetKeyPolicy,
  PutKeyPolicy,
  ListKeyPolicies,
  CreateGrant,
  ListGrants,
  ListRetirableGrants,
  RetireGrant,
  RevokeGrant,
  TagResource,
  UntagResource,
  ListResourceTags,
  EnableKeyRotation,
  DisableKeyRotation,
  GetKeyRotationStatus,
  RotateKeyOnDemand,
  ListKeyRotations,
  GetParametersForImport,
  ImportKeyMaterial,
  DeleteImportedKeyMaterial,
  ReplicateKey,
  UpdatePrimaryRegion,
  CreateCustomKeyStore,
  UpdateCustomKeyStore,
  DeleteCustomKeyStore,
  DescribeCustomKeyStores,
  ConnectCustomKeyStore,
  DisconnectCustomKeyStore,
  Encrypt,
  Decrypt,
  ReEncrypt,
  GenerateDataKey,
  GenerateDataKeyWithoutPlaintext,
  GenerateDataKeyPair,
  GenerateDataKeyPairWithoutPlaintext,
  Sign,
  Verify,
  GenerateMac,
  VerifyMac,
  DeriveSharedSecret,
  Encapsulate,
  Decapsulate,
  GenerateRandom,
} as const satisfies Record<string, Operation>;

export type OperationName = keyof typeof operations;

export function findOperation(name: string): Operation | undefined {
  return Object.hasOwn(operations, name) ? operations[name as OperationName] : undefined;
}
