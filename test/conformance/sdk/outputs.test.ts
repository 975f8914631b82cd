import { type OperationName, operations } from '@keyfleet/shared/api/registry';
import { findHandler } from '@keyfleet/frontend/operations/index';
import type { Operation } from '@keyfleet/shared/api/operation';
import { call, kms, refusalOf } from '@keyfleet/test-support/sdk-client';
import { type Key, newKeyOf } from '@keyfleet/test-support/sdk-keys';
import { expect, test } from 'vitest';
import { requestAbout, requests } from './requests.ts';

/** What AWS answers to each operation's plain request: the members, no more and no fewer. */
const members = {
  CancelKeyDeletion: ['KeyId'],
  CreateAlias: [],
  CreateGrant: ['GrantId', 'GrantToken'],
  CreateKey: ['KeyMetadata'],
  Decapsulate: ['EncapsulationAlgorithm', 'KeyId', 'SharedSecret'],
  Decrypt: ['EncryptionAlgorithm', 'KeyId', 'KeyMaterialId', 'Plaintext'],
  DeleteAlias: [],
  DeleteImportedKeyMaterial: ['KeyId'],
  DeriveSharedSecret: ['KeyAgreementAlgorithm', 'KeyId', 'KeyOrigin', 'SharedSecret'],
  DescribeCustomKeyStores: ['CustomKeyStores', 'Truncated'],
  DescribeKey: ['KeyMetadata'],
  DisableKey: [],
  DisableKeyRotation: [],
  EnableKey: [],
  EnableKeyRotation: [],
  Encapsulate: ['EncapsulationAlgorithm', 'KeyId', 'SharedSecret', 'SharedSecretCiphertextBlob'],
  Encrypt: ['CiphertextBlob', 'EncryptionAlgorithm', 'KeyId'],
  GenerateDataKey: ['CiphertextBlob', 'KeyId', 'KeyMaterialId', 'Plaintext'],
  GenerateDataKeyPair: [
    'KeyId',
    'KeyMaterialId',
    'KeyPairSpec',
    'PrivateKeyCiphertextBlob',
    'PrivateKeyPlaintext',
    'PublicKey',
  ],
  GenerateDataKeyPairWithoutPlaintext: [
    'KeyId',
    'KeyMaterialId',
    'KeyPairSpec',
    'PrivateKeyCiphertextBlob',
    'PublicKey',
  ],
  GenerateDataKeyWithoutPlaintext: ['CiphertextBlob', 'KeyId', 'KeyMaterialId'],
  GenerateMac: ['KeyId', 'Mac', 'MacAlgorithm'],
  GenerateRandom: ['Plaintext'],
  GetKeyLastUsage: ['KeyCreationDate', 'KeyId', 'KeyLastUsage', 'TrackingStartDate'],
  GetKeyPolicy: ['Policy', 'PolicyName'],
  GetKeyRotationStatus: ['KeyId', 'KeyRotationEnabled'],
  GetParametersForImport: ['ImportToken', 'KeyId', 'ParametersValidTo', 'PublicKey'],
  GetPublicKey: ['CustomerMasterKeySpec', 'KeyId', 'KeySpec', 'KeyUsage', 'PublicKey', 'SigningAlgorithms'],
  ImportKeyMaterial: ['KeyId', 'KeyMaterialId'],
  ListAliases: ['Aliases', 'Truncated'],
  ListGrants: ['Grants', 'Truncated'],
  ListKeyPolicies: ['PolicyNames', 'Truncated'],
  ListKeyRotations: ['Rotations', 'Truncated'],
  // There are more keys than a page holds, or not: it depends on the other tests.
  ListKeys: ['Keys', 'Truncated'],
  ListResourceTags: ['Tags', 'Truncated'],
  ListRetirableGrants: ['Grants', 'Truncated'],
  PutKeyPolicy: [],
  ReEncrypt: [
    'CiphertextBlob',
    'DestinationEncryptionAlgorithm',
    'DestinationKeyMaterialId',
    'KeyId',
    'SourceEncryptionAlgorithm',
    'SourceKeyId',
    'SourceKeyMaterialId',
  ],
  ReplicateKey: ['ReplicaKeyMetadata', 'ReplicaPolicy', 'ReplicaTags'],
  RetireGrant: [],
  RevokeGrant: [],
  RotateKeyOnDemand: ['KeyId'],
  ScheduleKeyDeletion: ['DeletionDate', 'KeyId', 'KeyState', 'PendingWindowInDays'],
  Sign: ['KeyId', 'Signature', 'SigningAlgorithm'],
  TagResource: [],
  UntagResource: [],
  UpdateAlias: [],
  UpdateKeyDescription: [],
  UpdatePrimaryRegion: [],
  Verify: ['KeyId', 'SignatureValid', 'SigningAlgorithm'],
  VerifyMac: ['KeyId', 'MacAlgorithm', 'MacValid'],
} satisfies Partial<Record<OperationName, string[]>>;

const here = (Object.keys(members) as (keyof typeof members)[]).filter((name) => findHandler(name) !== undefined);

/** A key that the operation's plain request can be about. */
async function keyFor(name: OperationName): Promise<Key> {
  const key = await newKeyOf(requests[name].kind ?? 'symmetric');
  if (name === 'CancelKeyDeletion') await kms.scheduleKeyDeletion({ KeyId: key.KeyId });
  return key;
}

test('every operation of this release that can succeed has its answer in the table', () => {
  const others = Object.keys(operations).filter((name) => findHandler(name) !== undefined && !(name in members));
  // These need the proxy of an external key store: test/integration/external-key-stores.test.ts has one.
  expect(others).toEqual([
    'CreateCustomKeyStore',
    'UpdateCustomKeyStore',
    'DeleteCustomKeyStore',
    'ConnectCustomKeyStore',
    'DisconnectCustomKeyStore',
  ]);
});

test.each(here)('%s answers what AWS answers', async (name) => {
  const key = await keyFor(name);
  const request = requests[name].kind === undefined ? await requests[name].input(key) : await requestAbout(name, key);
  const { $metadata, ...answer } = await call(name, name === 'ListKeys' ? { ...request, Limit: 1000 } : request);
  expect(Object.keys(answer).toSorted()).toEqual(members[name]);
  if ((members[name] as string[]).includes('KeyId')) expect(answer['KeyId']).toBe(key.Arn);
  expect($metadata).toMatchObject({
    httpStatusCode: 200,
    requestId: expect.stringMatching(/^[0-9a-f-]{36}$/) as unknown,
  });
});

const onKeys = here.filter((name) => (operations[name] as Operation).keyId !== undefined && name !== 'CreateAlias');
const takesAliases = (name: OperationName) => (operations[name] as Operation).keyId === 'key-or-alias';

test.each(onKeys.filter((name) => takesAliases(name)))(
  '%s takes a key by id, ARN, alias and alias ARN',
  async (name) => {
    const key = await keyFor(name);
    const alias = `alias/${key.KeyId}`;
    await kms.createAlias({ AliasName: alias, TargetKeyId: key.Arn });
    const aliasArn = key.Arn.replace(/key\/.*/, alias);
    for (const identifier of [key.KeyId, key.Arn, alias, aliasArn]) {
      await call(name, await requestAbout(name, key, identifier));
    }
    const missing = aliasArn.replace('alias/', 'alias/no-');
    expect(await refusalOf(call(name, await requestAbout(name, key, missing)))).toBe(
      `NotFoundException: Alias ${missing} is not found.`,
    );
  },
);

test.each(onKeys.filter((name) => !takesAliases(name)))('%s takes a key by id and ARN, and no alias', async (name) => {
  for (const form of ['KeyId', 'Arn'] as const) {
    const key = await keyFor(name);
    await call(name, await requestAbout(name, key, key[form]));
  }
  const key = await keyFor(name);
  const alias = `alias/${key.KeyId}`;
  for (const identifier of [alias, key.Arn.replace(/key\/.*/, alias)]) {
    const refusal = await refusalOf(call(name, await requestAbout(name, key, identifier)));
    // CreateAlias and UpdateAlias name the target by another member, and have a text of their own.
    const aliasOfAlias = 'ValidationException: Aliases must refer to keys. Not aliases';
    const noAlias = 'InvalidArnException: Key Aliases are not supported for this operation.';
    expect(refusal).toBe(name === 'CreateAlias' || name === 'UpdateAlias' ? aliasOfAlias : noAlias);
  }
});
