import type { OperationName, operations } from '@keyfleet/shared/api/registry';
import { decapsulate } from './agree/decapsulate.ts';
import { deriveSharedSecret } from './agree/derive-shared-secret.ts';
import { encapsulate } from './agree/encapsulate.ts';
import { createAlias } from './aliases/create-alias.ts';
import { deleteAlias } from './aliases/delete-alias.ts';
import { listAliases } from './aliases/list-aliases.ts';
import { updateAlias } from './aliases/update-alias.ts';
import { decrypt } from './cipher/decrypt.ts';
import { encrypt } from './cipher/encrypt.ts';
import { reEncrypt } from './cipher/re-encrypt.ts';
import { describeCustomKeyStores, onNoStore } from './custom-key-stores/no-stores.ts';
import { generateDataKeyPairWithoutPlaintext } from './data-keys/generate-data-key-pair-without-plaintext.ts';
import { generateDataKeyPair } from './data-keys/generate-data-key-pair.ts';
import { generateDataKeyWithoutPlaintext } from './data-keys/generate-data-key-without-plaintext.ts';
import { generateDataKey } from './data-keys/generate-data-key.ts';
import type { Deps, Handler, KeyCall } from './handler.ts';
import { cancelKeyDeletion } from './keys/cancel-key-deletion.ts';
import { createKey } from './keys/create-key.ts';
import { describeKey } from './keys/describe-key.ts';
import { disableKey } from './keys/disable-key.ts';
import { enableKey } from './keys/enable-key.ts';
import { getKeyLastUsage } from './keys/get-key-last-usage.ts';
import { getPublicKey } from './keys/get-public-key.ts';
import { listKeys } from './keys/list-keys.ts';
import { scheduleKeyDeletion } from './keys/schedule-key-deletion.ts';
import { updateKeyDescription } from './keys/update-key-description.ts';
import { generateMac } from './mac/generate-mac.ts';
import { verifyMac } from './mac/verify-mac.ts';
import { getKeyPolicy } from './policies/get-key-policy.ts';
import { listKeyPolicies } from './policies/list-key-policies.ts';
import { putKeyPolicy } from './policies/put-key-policy.ts';
import { generateRandom } from './random/generate-random.ts';
import { disableKeyRotation } from './rotation/disable-key-rotation.ts';
import { enableKeyRotation } from './rotation/enable-key-rotation.ts';
import { getKeyRotationStatus } from './rotation/get-key-rotation-status.ts';
import { listKeyRotations } from './rotation/list-key-rotations.ts';
import { rotateKeyOnDemand } from './rotation/rotate-key-on-demand.ts';
import { sign } from './sign/sign.ts';
import { verify } from './sign/verify.ts';
import { listResourceTags } from './tags/list-resource-tags.ts';
import { tagResource } from './tags/tag-resource.ts';
import { untagResource } from './tags/untag-resource.ts';

/** Every operation that this release has, each with its one handler. */
const handlers = {
  CancelKeyDeletion: cancelKeyDeletion,
  ConnectCustomKeyStore: onNoStore,
  CreateAlias: createAlias,
  CreateKey: createKey,
  Decapsulate: decapsulate,
  Decrypt: decrypt,
  DeleteAlias: deleteAlias,
  DeleteCustomKeyStore: onNoStore,
  DeriveSharedSecret: deriveSharedSecret,
  DescribeCustomKeyStores: describeCustomKeyStores,
  DescribeKey: describeKey,
  DisableKey: disableKey,
  DisableKeyRotation: disableKeyRotation,
  DisconnectCustomKeyStore: onNoStore,
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
  GetPublicKey: getPublicKey,
  ListAliases: listAliases,
  ListKeyPolicies: listKeyPolicies,
  ListKeyRotations: listKeyRotations,
  ListKeys: listKeys,
  ListResourceTags: listResourceTags,
  PutKeyPolicy: putKeyPolicy,
  ReEncrypt: reEncrypt,
  RotateKeyOnDemand: rotateKeyOnDemand,
  ScheduleKeyDeletion: scheduleKeyDeletion,
  Sign: sign,
  TagResource: tagResource,
  UntagResource: untagResource,
  UpdateAlias: updateAlias,
  UpdateCustomKeyStore: onNoStore,
  UpdateKeyDescription: updateKeyDescription,
  Verify: verify,
  VerifyMac: verifyMac,
} satisfies { [N in OperationName]?: Handler<(typeof operations)[N]> };

/** A handler as the pipeline sees it: its input is validated, its call holds what its operation's access says. */
export type AnyHandler = (input: Readonly<Record<string, unknown>>, call: KeyCall, deps: Deps) => Promise<unknown>;

/** Undefined for an operation that is known and not in this release. */
export function findHandler(name: string): AnyHandler | undefined {
  return Object.hasOwn(handlers, name) ? (handlers[name as keyof typeof handlers] as AnyHandler) : undefined;
}
