import { kms } from '@keyfleet/test-support/sdk-client';
import { type Key, type Kind, newKey, sharedKey } from '@keyfleet/test-support/sdk-keys';
import { wrapped } from '@keyfleet/test-support/wrapped';
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import type { OperationName } from '@keyfleet/shared/api/registry';

export interface ValidRequest {
  /** The kind of key it is about; absent where it names none. */
  readonly kind?: Kind;
  /** The member that names the key, if not KeyId. */
  readonly keyMember?: string;
  /** What else it says, for a key of that kind. */
  readonly input: (key: Key) => object | Promise<object>;
}

const message = Buffer.from('the message');
const publicKey = generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey.export({ type: 'spki', format: 'der' });
const context = { purpose: 'test' };

function newAliasName(): string {
  return `alias/request-${randomBytes(6).toString('hex')}`;
}

async function aliasOf(key: Key): Promise<string> {
  const AliasName = newAliasName();
  await kms.createAlias({ AliasName, TargetKeyId: key.KeyId });
  return AliasName;
}

async function ciphertextOf({ KeyId }: Key): Promise<Uint8Array> {
  const { CiphertextBlob } = await kms.encrypt({ KeyId, Plaintext: message, EncryptionContext: context });
  return CiphertextBlob!;
}

const grant = { GranteePrincipal: 'arn:aws:iam::000000000000:user/admin', Operations: ['Decrypt'] } as const;

export function newGrant({ KeyId }: Key) {
  return kms.createGrant({ KeyId, ...grant, Operations: [...grant.Operations] });
}

const onKey = (kind: Kind, input: object = {}): ValidRequest => ({ kind, input: () => input });
const ofAccount = (input: object = {}): ValidRequest => ({ input: () => input });
const policy = JSON.stringify({
  Statement: { Effect: 'Allow', Principal: { AWS: '*' }, Action: 'kms:*', Resource: '*' },
});
const store = { CustomKeyStoreId: 'cks-1234567890abcdef0' };
const signing = { Message: message, SigningAlgorithm: 'ECDSA_SHA_256' };
const mac = { Message: message, MacAlgorithm: 'HMAC_SHA_256' };

/** One request for each operation that AWS would fulfil. */
export const requests: Readonly<Record<OperationName, ValidRequest>> = {
  CancelKeyDeletion: onKey('symmetric'),
  ConnectCustomKeyStore: ofAccount(store),
  CreateAlias: { kind: 'symmetric', keyMember: 'TargetKeyId', input: () => ({ AliasName: newAliasName() }) },
  CreateCustomKeyStore: ofAccount({ CustomKeyStoreName: 'store' }),
  CreateGrant: onKey('symmetric', grant),
  CreateKey: ofAccount(),
  Decapsulate: {
    kind: 'encapsulation',
    input: async ({ KeyId }) => {
      const { SharedSecretCiphertextBlob } = await kms.encapsulate({ KeyId, EncapsulationAlgorithm: 'ML_KEM' });
      return { SharedSecretCiphertextBlob, EncapsulationAlgorithm: 'ML_KEM' };
    },
  },
  Decrypt: {
    kind: 'symmetric',
    input: async (key) => ({ CiphertextBlob: await ciphertextOf(key), EncryptionContext: context }),
  },
  DeleteAlias: { input: async () => ({ AliasName: await aliasOf(await sharedKey('symmetric')) }) },
  DeleteCustomKeyStore: ofAccount(store),
  DeleteImportedKeyMaterial: onKey('external'),
  DeriveSharedSecret: onKey('agreement', { KeyAgreementAlgorithm: 'ECDH', PublicKey: publicKey }),
  DescribeCustomKeyStores: ofAccount(),
  DescribeKey: onKey('symmetric'),
  DisableKey: onKey('symmetric'),
  DisableKeyRotation: onKey('symmetric'),
  DisconnectCustomKeyStore: ofAccount(store),
  EnableKey: onKey('symmetric'),
  EnableKeyRotation: onKey('symmetric'),
  Encapsulate: onKey('encapsulation', { EncapsulationAlgorithm: 'ML_KEM' }),
  Encrypt: onKey('symmetric', { Plaintext: message, EncryptionContext: context }),
  GenerateDataKey: onKey('symmetric', { KeySpec: 'AES_256', EncryptionContext: context }),
  GenerateDataKeyPair: onKey('symmetric', { KeyPairSpec: 'ECC_NIST_P256' }),
  GenerateDataKeyPairWithoutPlaintext: onKey('symmetric', { KeyPairSpec: 'ECC_NIST_EDWARDS25519' }),
  GenerateDataKeyWithoutPlaintext: onKey('symmetric', { NumberOfBytes: 20 }),
  GenerateMac: onKey('mac', mac),
  GenerateRandom: ofAccount({ NumberOfBytes: 10 }),
  GetKeyLastUsage: onKey('symmetric'),
  GetKeyPolicy: onKey('symmetric'),
  GetKeyRotationStatus: onKey('symmetric'),
  GetParametersForImport: onKey('external', {
    WrappingAlgorithm: 'RSAES_OAEP_SHA_256',
    WrappingKeySpec: 'RSA_2048',
  }),
  GetPublicKey: onKey('signing'),
  ImportKeyMaterial: {
    kind: 'external',
    input: async ({ KeyId }) => ({
      ...(await wrapped(kms, KeyId, randomBytes(32))),
      ExpirationModel: 'KEY_MATERIAL_DOES_NOT_EXPIRE',
    }),
  },
  ListAliases: onKey('symmetric'),
  ListGrants: onKey('symmetric'),
  ListKeyPolicies: onKey('symmetric'),
  ListKeyRotations: onKey('symmetric'),
  ListKeys: ofAccount(),
  ListResourceTags: onKey('symmetric'),
  ListRetirableGrants: ofAccount({ RetiringPrincipal: grant.GranteePrincipal }),
  PutKeyPolicy: onKey('symmetric', { Policy: policy }),
  ReEncrypt: {
    kind: 'symmetric',
    keyMember: 'DestinationKeyId',
    input: async (key) => ({ CiphertextBlob: await ciphertextOf(key), SourceEncryptionContext: context }),
  },
  ReplicateKey: onKey('multiRegion', { ReplicaRegion: 'eu-central-1' }),
  RetireGrant: {
    input: async () => ({ GrantToken: (await newGrant(await sharedKey('symmetric'))).GrantToken }),
  },
  RevokeGrant: { kind: 'symmetric', input: async (key) => ({ GrantId: (await newGrant(key)).GrantId }) },
  RotateKeyOnDemand: onKey('symmetric'),
  ScheduleKeyDeletion: onKey('symmetric', { PendingWindowInDays: 7 }),
  Sign: onKey('signing', signing),
  TagResource: onKey('symmetric', { Tags: [{ TagKey: 'k', TagValue: 'v' }] }),
  UntagResource: onKey('symmetric', { TagKeys: ['k'] }),
  UpdateAlias: {
    kind: 'symmetric',
    keyMember: 'TargetKeyId',
    input: async () => ({ AliasName: await aliasOf(await newKey()) }),
  },
  UpdateCustomKeyStore: ofAccount({ ...store, NewCustomKeyStoreName: 'other' }),
  UpdateKeyDescription: onKey('symmetric', { Description: 'another' }),
  UpdatePrimaryRegion: {
    kind: 'multiRegion',
    input: async ({ KeyId }) => {
      const { KeyMetadata } = await kms.describeKey({ KeyId });
      const { ReplicaKeys = [] } = KeyMetadata!.MultiRegionConfiguration!;
      if (ReplicaKeys.length === 0) await kms.replicateKey({ KeyId, ReplicaRegion: 'us-west-2' });
      return { PrimaryRegion: 'us-west-2' };
    },
  },
  Verify: {
    kind: 'signing',
    input: async ({ KeyId }) => {
      const { Signature } = await kms.sign({ KeyId, Message: message, SigningAlgorithm: 'ECDSA_SHA_256' });
      return { ...signing, Signature };
    },
  },
  VerifyMac: {
    kind: 'mac',
    input: async ({ KeyId }) => {
      const { Mac } = await kms.generateMac({ KeyId, Message: message, MacAlgorithm: 'HMAC_SHA_256' });
      return { ...mac, Mac };
    },
  },
};

/** The operation's request about this key. */
export async function requestAbout(operation: OperationName, key: Key, identifier = key.KeyId): Promise<object> {
  const { input, keyMember = 'KeyId' } = requests[operation];
  return { ...(await input(key)), [keyMember]: identifier };
}
