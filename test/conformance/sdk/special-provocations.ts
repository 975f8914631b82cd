import { CertificateAuthority } from '../../../tools/certificates.ts';
import { call, kms } from '@keyfleet/test-support/sdk-client';
import { type Key, newKey, sharedKey } from '@keyfleet/test-support/sdk-keys';
import { wrapped } from '@keyfleet/test-support/wrapped';
import { randomBytes } from 'node:crypto';
import type { OperationName } from '@keyfleet/shared/api/registry';
import type { ExceptionCode } from '@keyfleet/shared/errors/exceptions';
import type { Provocation, Provoked } from './provocations.ts';
import { newGrant, requestAbout, requests } from './requests.ts';

const authority = await CertificateAuthority.create('cluster');

const store = 'cks-1234567890abcdef0';
const noStore = `Custom key store ${store} does not exist.`;
const reservedTag = 'Tags beginning with aws: are reserved';
const incorrectKey = 'The key ID in the request does not identify a CMK that can perform this operation.';
const lockedOut = 'The new key policy will not allow you to update the key policy in the future.';
const onlyBob = policyOf({
  Effect: 'Allow',
  Principal: { AWS: 'arn:aws:iam::111122223333:user/bob' },
  Action: 'kms:*',
});
const tooLong = policyOf({ Sid: 'x'.repeat(32_768), Effect: 'Allow', Principal: { AWS: '*' }, Action: 'kms:*' });

function policyOf(statement: object): string {
  return JSON.stringify({ Version: '2012-10-17', Statement: [{ ...statement, Resource: '*' }] });
}

/** `changes` to a request that would have succeeded. */
function changed(operation: OperationName, changes: object | (() => Promise<object>), says?: string): Provocation {
  return {
    provoke: async () => {
      const { kind } = requests[operation];
      const request = kind === undefined ? {} : await requestAbout(operation, await sharedKey(kind));
      const difference = typeof changes === 'function' ? await changes() : changes;
      return { answer: call(operation, { ...request, ...difference }), ...(says !== undefined && { says }) };
    },
  };
}

function provoking(provoke: () => Promise<Provoked>): Provocation {
  return { provoke };
}

/** `kms.createAlias`, until the key is full. */
async function fullOfAliases() {
  const key = await newKey();
  const stem = `alias/${key.KeyId}-`;
  for (let i = 0; i < 50; i++) await kms.createAlias({ AliasName: stem + i, TargetKeyId: key.KeyId });
  return { TargetKeyId: key.KeyId, says: `Key '${key.Arn}' has the maximum of 50 aliases.` };
}

async function damagedCiphertext() {
  const { KeyId } = await sharedKey('symmetric');
  const { CiphertextBlob } = await kms.encrypt({ KeyId, Plaintext: Buffer.from('x') });
  CiphertextBlob![CiphertextBlob!.length - 1]! ^= 1;
  return { CiphertextBlob };
}

const invalidGrantId = 'The grant ID is not valid.';
const foreignUser = 'arn:aws:iam::999999999999:user/x';

const onRetirable = (changes: object, says: string): Provocation =>
  provoking(async () => {
    const request = { ...(await requests.ListRetirableGrants.input({} as never)), ...changes };
    return { answer: call('ListRetirableGrants', request), says };
  });

const ofOwnOrigin = (operation: OperationName): Provocation =>
  provoking(async () => {
    const { KeyId, Arn } = await sharedKey('symmetric');
    const request = await requestAbout(operation, await sharedKey('external'), KeyId);
    return {
      answer: call(operation, request),
      says: `${Arn} origin is AWS_KMS which is not valid for this operation.`,
    };
  });

const external = (operation: OperationName): Provocation =>
  provoking(async () => {
    const { KeyId, Arn } = await newKey({ Origin: 'EXTERNAL' });
    return {
      answer: call(operation, { KeyId }),
      says: `${Arn} origin is EXTERNAL which is not valid for this operation.`,
    };
  });

const ofSingleRegion = (operation: OperationName): Provocation =>
  provoking(async () => {
    const { KeyId, Arn } = await sharedKey('symmetric');
    const request = await requestAbout(operation, await sharedKey('multiRegion'), KeyId);
    return { answer: call(operation, request), says: `${Arn} is not a multi-region primary key.` };
  });

const onAlias = (operation: OperationName): Provocation =>
  provoking(async () => {
    const { TargetKeyId, says } = await fullOfAliases();
    return {
      answer: call(operation, { ...(await requests[operation].input(await sharedKey('symmetric'))), TargetKeyId }),
      says,
    };
  });

/** Decrypt of what a key made before something was done to it: with any other key it is the wrong key that is told. */
const onItsOwnKey = (then: (key: Key) => Promise<unknown>, ending: string): Provocation =>
  provoking(async () => {
    const key = await newKey();
    const { CiphertextBlob } = await kms.encrypt({ KeyId: key.KeyId, Plaintext: Buffer.from('x') });
    await then(key);
    return { answer: kms.decrypt({ CiphertextBlob, KeyId: key.KeyId }), says: `${key.Arn} ${ending}` };
  });

/** `<operation>.<exception>`: what is not said of any operation on a key alike. */
export const specialProvocations: Readonly<Partial<Record<`${OperationName}.${ExceptionCode}`, Provocation>>> = {
  'CreateKey.MalformedPolicyDocumentException': changed('CreateKey', { Policy: onlyBob }, lockedOut),
  'CreateKey.LimitExceededException': changed(
    'CreateKey',
    { Policy: tooLong },
    'The key policy is larger than 32768 bytes.',
  ),
  'CreateKey.TagException': changed('CreateKey', { Tags: [{ TagKey: 'AWS:k', TagValue: '' }] }, reservedTag),
  'CreateKey.UnsupportedOperationException': changed(
    'CreateKey',
    { Origin: 'AWS_CLOUDHSM', CustomKeyStoreId: store, MultiRegion: true },
    'MultiRegion keys are not supported for Origin AWS_CLOUDHSM.',
  ),
  'CreateKey.CustomKeyStoreNotFoundException': changed(
    'CreateKey',
    { Origin: 'AWS_CLOUDHSM', CustomKeyStoreId: store },
    noStore,
  ),
  'CreateCustomKeyStore.CloudHsmClusterNotFoundException': changed(
    'CreateCustomKeyStore',
    {
      CustomKeyStoreName: 'store',
      CloudHsmClusterId: 'cluster-abcdefghijk',
      KeyStorePassword: 'of-its-user',
      TrustAnchorCertificate: authority.certificate,
    },
    'The CloudHSM cluster cluster-abcdefghijk does not exist.',
  ),
  'ConnectCustomKeyStore.CustomKeyStoreNotFoundException': changed(
    'ConnectCustomKeyStore',
    { CustomKeyStoreId: store },
    noStore,
  ),
  'DeleteCustomKeyStore.CustomKeyStoreNotFoundException': changed(
    'DeleteCustomKeyStore',
    { CustomKeyStoreId: store },
    noStore,
  ),
  'DescribeCustomKeyStores.CustomKeyStoreNotFoundException': changed(
    'DescribeCustomKeyStores',
    { CustomKeyStoreId: store },
    noStore,
  ),
  'DisconnectCustomKeyStore.CustomKeyStoreNotFoundException': changed(
    'DisconnectCustomKeyStore',
    { CustomKeyStoreId: store },
    noStore,
  ),
  'UpdateCustomKeyStore.CustomKeyStoreNotFoundException': changed(
    'UpdateCustomKeyStore',
    { CustomKeyStoreId: store },
    noStore,
  ),
  'GenerateRandom.CustomKeyStoreNotFoundException': changed(
    'GenerateRandom',
    { NumberOfBytes: 1, CustomKeyStoreId: store },
    noStore,
  ),
  'PutKeyPolicy.MalformedPolicyDocumentException': changed('PutKeyPolicy', { Policy: onlyBob }, lockedOut),
  'PutKeyPolicy.LimitExceededException': changed(
    'PutKeyPolicy',
    { Policy: tooLong },
    'The key policy is larger than 32768 bytes.',
  ),
  'CreateAlias.AlreadyExistsException': provoking(async () => {
    const { KeyId, Arn } = await newKey();
    const request = { AliasName: `alias/${KeyId}`, TargetKeyId: KeyId };
    await kms.createAlias(request);
    const says = `An alias with the name ${Arn.replace('key/', 'alias/')} already exists`;
    return { answer: kms.createAlias(request), says };
  }),
  'CreateAlias.InvalidAliasNameException': changed(
    'CreateAlias',
    { AliasName: 'alias/a:b' },
    'alias/a:b contains invalid characters for an alias',
  ),
  'CreateAlias.LimitExceededException': onAlias('CreateAlias'),
  'UpdateAlias.LimitExceededException': onAlias('UpdateAlias'),
  'DeleteAlias.NotFoundException': provoking(async () => ({
    answer: kms.deleteAlias({ AliasName: 'alias/missing' }),
    says: `Alias ${(await sharedKey('symmetric')).Arn.replace(/key\/.*/, 'alias/missing')} is not found.`,
  })),
  'Decrypt.DisabledException': onItsOwnKey(({ KeyId }) => kms.disableKey({ KeyId }), 'is disabled.'),
  'Decrypt.KMSInvalidStateException': onItsOwnKey(
    ({ KeyId }) => kms.scheduleKeyDeletion({ KeyId, PendingWindowInDays: 7 }),
    'is pending deletion.',
  ),
  'Decrypt.InvalidCiphertextException': changed('Decrypt', damagedCiphertext),
  'Decrypt.IncorrectKeyException': changed('Decrypt', async () => ({ KeyId: (await newKey()).KeyId }), incorrectKey),
  'Decrypt.InvalidKeyUsageException': changed(
    'Decrypt',
    async () => ({
      KeyId: (await sharedKey('rsaEncryption')).KeyId,
      CiphertextBlob: Buffer.alloc(256, 0xff),
      EncryptionContext: undefined,
    }),
    'Algorithm SYMMETRIC_DEFAULT is incompatible with key spec RSA_2048.',
  ),
  'ReEncrypt.InvalidCiphertextException': changed('ReEncrypt', damagedCiphertext),
  'ReEncrypt.IncorrectKeyException': changed(
    'ReEncrypt',
    async () => ({ SourceKeyId: (await newKey()).KeyId }),
    incorrectKey,
  ),
  'Decapsulate.InvalidCiphertextException': changed('Decapsulate', { SharedSecretCiphertextBlob: randomBytes(20) }),
  'ListGrants.InvalidGrantIdException': changed('ListGrants', { GrantId: 'no!' }, invalidGrantId),
  'ListRetirableGrants.InvalidMarkerException': onRetirable({ Marker: 'nonsense' }, 'The marker is not valid.'),
  'ListRetirableGrants.InvalidArnException': onRetirable(
    { RetiringPrincipal: foreignUser },
    `ARN does not refer to a valid principal: ${foreignUser}`,
  ),
  'RetireGrant.InvalidArnException': changed(
    'RetireGrant',
    { KeyId: 'arn:aws:kms:us-east-1:nonsense', GrantId: 'ab' },
    'Invalid arn arn:aws:kms:us-east-1:nonsense',
  ),
  'RetireGrant.InvalidGrantTokenException': changed(
    'RetireGrant',
    { GrantToken: 'junk' },
    'A grant token is not valid.',
  ),
  'RetireGrant.InvalidGrantIdException': changed(
    'RetireGrant',
    async () => ({ KeyId: (await sharedKey('symmetric')).KeyId, GrantId: 'no!' }),
    invalidGrantId,
  ),
  'RetireGrant.NotFoundException': changed(
    'RetireGrant',
    async () => ({ KeyId: (await sharedKey('symmetric')).KeyId, GrantId: 'ab' }),
    'Grant ID ab not found',
  ),
  'RetireGrant.DryRunOperationException': changed(
    'RetireGrant',
    async () => ({ GrantToken: (await newGrant(await sharedKey('symmetric'))).GrantToken, DryRun: true }),
    'The request would have succeeded, but the DryRun option is set.',
  ),
  'RevokeGrant.InvalidGrantIdException': changed('RevokeGrant', { GrantId: 'no!' }, invalidGrantId),
  'GetPublicKey.UnsupportedOperationException': provoking(async () => {
    const { KeyId } = await sharedKey('symmetric');
    return { answer: kms.getPublicKey({ KeyId }) };
  }),
  'Verify.KMSInvalidSignatureException': changed('Verify', { Message: Buffer.from('another') }),
  'VerifyMac.KMSInvalidMacException': changed('VerifyMac', { Message: Buffer.from('another') }),
  'CancelKeyDeletion.KMSInvalidStateException': provoking(async () => {
    const { KeyId, Arn } = await sharedKey('symmetric');
    return { answer: kms.cancelKeyDeletion({ KeyId }), says: `${Arn} is not pending deletion.` };
  }),
  'GetParametersForImport.UnsupportedOperationException': ofOwnOrigin('GetParametersForImport'),
  'ImportKeyMaterial.UnsupportedOperationException': ofOwnOrigin('ImportKeyMaterial'),
  'DeleteImportedKeyMaterial.UnsupportedOperationException': ofOwnOrigin('DeleteImportedKeyMaterial'),
  'ImportKeyMaterial.InvalidImportTokenException': changed('ImportKeyMaterial', { ImportToken: randomBytes(200) }),
  'ImportKeyMaterial.InvalidCiphertextException': changed('ImportKeyMaterial', {
    EncryptedKeyMaterial: randomBytes(256),
  }),
  'ImportKeyMaterial.IncorrectKeyMaterialException': changed('ImportKeyMaterial', async () =>
    wrapped(kms, (await sharedKey('external')).KeyId, randomBytes(31)),
  ),
  'EnableKeyRotation.UnsupportedOperationException': external('EnableKeyRotation'),
  'DisableKeyRotation.UnsupportedOperationException': external('DisableKeyRotation'),
  'GetKeyRotationStatus.UnsupportedOperationException': external('GetKeyRotationStatus'),
  'RotateKeyOnDemand.UnsupportedOperationException': changed('RotateKeyOnDemand', async () => ({
    KeyId: (await sharedKey('signing')).KeyId,
  })),
  'RotateKeyOnDemand.LimitExceededException': provoking(async () => {
    const { KeyId, Arn } = await newKey();
    for (let i = 0; i < 25; i++) await kms.rotateKeyOnDemand({ KeyId });
    const says = `The on-demand rotations limit has been reached for the given keyId. No more on-demand rotations can be performed for this key: ${Arn}`;
    return { answer: kms.rotateKeyOnDemand({ KeyId }), says };
  }),
  'ReplicateKey.AlreadyExistsException': provoking(async () => {
    const { KeyId, Arn } = await newKey({ MultiRegion: true });
    const request = { KeyId, ReplicaRegion: 'eu-west-1' };
    await kms.replicateKey(request);
    const says = `The key ${Arn.replace('us-east-1', 'eu-west-1')} already exists.`;
    return { answer: kms.replicateKey(request), says };
  }),
  'ReplicateKey.LimitExceededException': changed(
    'ReplicateKey',
    { Policy: tooLong },
    'The key policy is larger than 32768 bytes.',
  ),
  'ReplicateKey.MalformedPolicyDocumentException': changed('ReplicateKey', { Policy: onlyBob }, lockedOut),
  'ReplicateKey.TagException': changed('ReplicateKey', { Tags: [{ TagKey: 'aws:k', TagValue: '' }] }, reservedTag),
  'ReplicateKey.UnsupportedOperationException': ofSingleRegion('ReplicateKey'),
  'UpdatePrimaryRegion.UnsupportedOperationException': ofSingleRegion('UpdatePrimaryRegion'),
  'TagResource.TagException': changed('TagResource', { Tags: [{ TagKey: 'aws:k', TagValue: '' }] }, reservedTag),
  'UntagResource.TagException': changed('UntagResource', { TagKeys: ['aws:k'] }, reservedTag),
};
