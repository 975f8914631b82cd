import { CreateKey, DescribeKey, GetPublicKey, ListKeys } from '@keyfleet/shared/api/keys';
import { type KeySpec, type KeySpecRow, keySpecs, type KeyUsage } from '@keyfleet/shared/key-specs';
import { accountId, FakeFrontend, region, user } from '@keyfleet/test-support/fakes/frontend';
import { beforeEach, describe, expect, test } from 'vitest';

let frontend: FakeFrontend;
beforeEach(() => {
  frontend = new FakeFrontend();
});

const rows = Object.entries(keySpecs) as [KeySpec, KeySpecRow][];
const usages: KeyUsage[] = [
  'ENCRYPT_DECRYPT',
  'SIGN_VERIFY',
  'GENERATE_VERIFY_MAC',
  'KEY_AGREEMENT',
  'ENCAPSULATE_DECAPSULATE',
];
const combinations = rows
  .filter(([keySpec]) => keySpec !== 'SM2')
  .flatMap(([keySpec, row]) => usages.map((usage) => ({ keySpec, usage, row })));

test('a key whose maker was held up until nobody waits for it is not stored', async () => {
  const execute = frontend.hsm.execute.bind(frontend.hsm);
  Object.assign(frontend.hsm, {
    execute: async (...args: Parameters<typeof execute>) => {
      const output = await execute(...args);
      frontend.now += 5_000;
      return output;
    },
  });
  expect(await frontend.refusal(CreateKey, {})).toMatch(/^DependencyTimeoutException/);
  expect((await frontend.call(ListKeys, {})).Keys).toEqual([]);
});

test('tags that choose ids and material in development are tags like any other elsewhere', async () => {
  const Tags = [
    { TagKey: '_custom_id_', TagValue: '3c30ff32-5c52-4d3a-acf9-4038df6ea8d6' },
    { TagKey: '_custom_key_material_', TagValue: 'anything' },
  ];
  const { KeyMetadata } = await frontend.call(CreateKey, { Tags });
  expect(KeyMetadata!.KeyId).not.toBe(Tags[0]!.TagValue);
  expect(frontend.hsm.executed).toEqual(['GenerateBackingKey']);
  expect((await frontend.store.findKey(region, KeyMetadata!.KeyId))!.tags).toEqual(Tags);
});

test('a key created without parameters is a symmetric encryption key with complete metadata', async () => {
  const { KeyMetadata } = await frontend.call(CreateKey, {});
  expect(KeyMetadata).toEqual({
    AWSAccountId: accountId,
    KeyId: expect.stringMatching(/^[0-9a-f-]{36}$/),
    Arn: `arn:aws:kms:${region}:${accountId}:key/${KeyMetadata?.KeyId}`,
    CreationDate: frontend.now,
    Enabled: true,
    Description: '',
    KeyUsage: 'ENCRYPT_DECRYPT',
    KeyState: 'Enabled',
    Origin: 'AWS_KMS',
    KeyManager: 'CUSTOMER',
    CustomerMasterKeySpec: 'SYMMETRIC_DEFAULT',
    KeySpec: 'SYMMETRIC_DEFAULT',
    EncryptionAlgorithms: ['SYMMETRIC_DEFAULT'],
    MultiRegion: false,
    CurrentKeyMaterialId: expect.stringMatching(/^[0-9a-f]{64}$/),
  });
  expect(await frontend.call(DescribeKey, { KeyId: KeyMetadata?.Arn })).toEqual({ KeyMetadata });
});

test('the audit record says who made which key, with every default, and holds no token', async () => {
  const { KeyMetadata } = await frontend.call(CreateKey, { Tags: [{ TagKey: 'team', TagValue: 'red' }] });
  expect(frontend.lastAudit).toMatchObject({
    eventName: 'CreateKey',
    eventTime: '2026-11-23T12:00:00.000Z',
    awsRegion: region,
    sourceIPAddress: '192.0.2.1',
    userAgent: 'test',
    requestID: 'request-1',
    readOnly: false,
    userIdentity: { type: 'IAMUser', arn: user('alice').arn, accessKeyId: 'AKIAALICE', accountId },
    requestParameters: {
      description: '',
      origin: 'AWS_KMS',
      bypassPolicyLockoutSafetyCheck: false,
      multiRegion: false,
      tags: [{ tagKey: 'team', tagValue: 'red' }],
    },
    responseElements: {
      keyMetadata: { arn: KeyMetadata?.Arn, keyState: 'Enabled', creationDate: 'Nov 23, 2026, 12:00:00 PM' },
    },
  });
  expect(frontend.lastAudit).not.toHaveProperty('errorCode');
});

describe.each(combinations)('$keySpec for $usage', ({ keySpec, usage, row }) => {
  const allowed = row.usages[usage] !== undefined;

  test(allowed ? 'is made and described with its algorithms' : 'is refused', async () => {
    const request = { KeySpec: keySpec, KeyUsage: usage };
    if (!allowed) {
      expect(await frontend.refusal(CreateKey, request)).toBe(
        `ValidationException: KeyUsage ${usage} is not compatible with KeySpec ${keySpec}`,
      );
      expect(frontend.hsm.executed).toEqual([]);
      return;
    }
    const { KeyMetadata } = await frontend.call(CreateKey, request);
    expect(KeyMetadata).toMatchObject({ KeySpec: keySpec, CustomerMasterKeySpec: keySpec, KeyUsage: usage });
    expect(Object.values(KeyMetadata ?? {})).toContainEqual(row.usages[usage]);
    expect(KeyMetadata?.CurrentKeyMaterialId !== undefined).toBe(keySpec === 'SYMMETRIC_DEFAULT');
  });
});

test.each(rows.filter(([keySpec]) => !['SM2', 'SYMMETRIC_DEFAULT'].includes(keySpec)))(
  '%s needs a stated usage',
  async (keySpec) => {
    expect(await frontend.refusal(CreateKey, { KeySpec: keySpec })).toBe(
      'ValidationException: You must specify a KeyUsage value for all KMS keys except for symmetric encryption keys.',
    );
  },
);

test.each(rows.filter(([keySpec]) => keySpec !== 'SM2'))('%s with imported material', async (keySpec, row) => {
  const [usage] = Object.keys(row.usages);
  const request = { KeySpec: keySpec, KeyUsage: usage, Origin: 'EXTERNAL' };
  if (!row.origins.includes('EXTERNAL')) {
    expect(await frontend.refusal(CreateKey, request)).toBe(
      `ValidationException: KeySpec ${keySpec} is not supported for Origin EXTERNAL`,
    );
    return;
  }
  const { KeyMetadata } = await frontend.call(CreateKey, request);
  expect(KeyMetadata).toMatchObject({ KeyState: 'PendingImport', Enabled: false, Origin: 'EXTERNAL' });
  expect(KeyMetadata).not.toHaveProperty('CurrentKeyMaterialId');
  expect(KeyMetadata).not.toHaveProperty('ExpirationModel');
  expect(frontend.hsm.executed).toEqual([]);
});

test('SM2 is not a key spec outside China', async () => {
  expect(await frontend.refusal(CreateKey, { KeySpec: 'SM2', KeyUsage: 'SIGN_VERIFY' })).toMatch(
    /^ValidationException: 1 validation error detected: Value 'SM2' at 'keySpec' failed to satisfy constraint: Member must satisfy enum value set: \[(?!.*SM2).*RSA_2048.*\]$/,
  );
});

test('the old name of the key spec works, but not beside the new one', async () => {
  const { KeyMetadata } = await frontend.call(CreateKey, {
    CustomerMasterKeySpec: 'RSA_2048',
    KeyUsage: 'SIGN_VERIFY',
  });
  expect(KeyMetadata?.KeySpec).toBe('RSA_2048');
  expect(await frontend.refusal(CreateKey, { CustomerMasterKeySpec: 'RSA_2048', KeySpec: 'RSA_2048' })).toBe(
    'ValidationException: You cannot specify KeySpec and CustomerMasterKeySpec in the same request. CustomerMasterKeySpec is deprecated.',
  );
});

test('a multi-Region key has an mrk- id and is the primary', async () => {
  const { KeyMetadata } = await frontend.call(CreateKey, { MultiRegion: true });
  expect(KeyMetadata).toMatchObject({
    KeyId: expect.stringMatching(/^mrk-[0-9a-f]{32}$/),
    MultiRegion: true,
    MultiRegionConfiguration: {
      MultiRegionKeyType: 'PRIMARY',
      PrimaryKey: { Arn: KeyMetadata?.Arn, Region: region },
      ReplicaKeys: [],
    },
  });
});

test.each([
  [
    { Origin: 'AWS_CLOUDHSM', CustomKeyStoreId: 'cks-1' },
    'CustomKeyStoreNotFoundException: Custom key store cks-1 does not exist.',
  ],
  [
    { Origin: 'EXTERNAL_KEY_STORE', CustomKeyStoreId: 'cks-1', XksKeyId: 'x' },
    'CustomKeyStoreNotFoundException: Custom key store cks-1 does not exist.',
  ],
  [{ Origin: 'AWS_CLOUDHSM' }, 'ValidationException: CustomKeyStoreId is required for Origin AWS_CLOUDHSM.'],
  [
    { Origin: 'EXTERNAL_KEY_STORE', CustomKeyStoreId: 'cks-1' },
    'ValidationException: XksKeyId is required for Origin EXTERNAL_KEY_STORE.',
  ],
  [{ CustomKeyStoreId: 'cks-1' }, 'ValidationException: CustomKeyStoreId is not valid for Origin AWS_KMS.'],
  [{ XksKeyId: 'x' }, 'ValidationException: XksKeyId is not valid for Origin AWS_KMS.'],
  [
    { Origin: 'AWS_CLOUDHSM', CustomKeyStoreId: 'cks-1', KeySpec: 'RSA_2048', KeyUsage: 'SIGN_VERIFY' },
    'ValidationException: KeySpec RSA_2048 is not supported for Origin AWS_CLOUDHSM',
  ],
  [
    { Origin: 'AWS_CLOUDHSM', CustomKeyStoreId: 'cks-1', MultiRegion: true },
    'UnsupportedOperationException: MultiRegion keys are not supported for Origin AWS_CLOUDHSM.',
  ],
])('a custom key store that is not there: %j', async (request, expected) => {
  expect(await frontend.refusal(CreateKey, request)).toBe(expected);
});

test.each([
  [['a', 'a'], 'TagException: Duplicate tag keys'],
  [['AWS:cost'], 'TagException: Tags beginning with aws: are reserved'],
  [Array.from({ length: 51 }, (_, i) => `tag${i}`), 'TagException: Too many tags'],
])('tags that no key can have', async (names, expected) => {
  const Tags = names.map((TagKey) => ({ TagKey, TagValue: '' }));
  expect(await frontend.refusal(CreateKey, { Tags })).toBe(expected);
  expect(frontend.hsm.executed).toEqual([]);
});

test('a policy that would lock its creator out is refused, unless they say so', async () => {
  const Policy = JSON.stringify({
    Statement: {
      Effect: 'Allow',
      Principal: { AWS: `arn:aws:iam::${accountId}:user/bob` },
      Action: 'kms:*',
      Resource: '*',
    },
  });
  expect(await frontend.refusal(CreateKey, { Policy })).toBe(
    'MalformedPolicyDocumentException: The new key policy will not allow you to update the key policy in the future.',
  );
  await frontend.call(CreateKey, { Policy, BypassPolicyLockoutSafetyCheck: true });
  await frontend.call(CreateKey, { Policy }, { caller: user('bob') });
});

test('a user without permission creates nothing, and that is on record', async () => {
  const mallory = user('mallory', { policies: [] });
  const expected = `User: ${mallory.arn} is not authorized to perform: kms:CreateKey on resource: * because no identity-based policy allows the kms:CreateKey action`;
  expect(await frontend.refusal(CreateKey, {}, { caller: mallory })).toBe(`AccessDeniedException: ${expected}`);
  expect(frontend.hsm.executed).toEqual([]);
  expect(frontend.lastAudit).toMatchObject({
    eventName: 'CreateKey',
    errorCode: 'AccessDeniedException',
    errorMessage: expected,
    responseElements: null,
    userIdentity: { arn: mallory.arn },
  });
});

test('CreateKey with tags takes the permission to tag', async () => {
  const policies = [JSON.stringify({ Statement: { Effect: 'Allow', Action: 'kms:CreateKey', Resource: '*' } })];
  const caller = user('carol', { policies });
  const Tags = [{ TagKey: 'team', TagValue: 'red' }];
  expect(await frontend.refusal(CreateKey, { Tags }, { caller })).toContain(
    'to perform: kms:TagResource on resource: *',
  );
  await frontend.call(CreateKey, {}, { caller });
});

test('GetPublicKey answers for asymmetric keys only', async () => {
  const rsa = await frontend.call(CreateKey, { KeySpec: 'RSA_2048', KeyUsage: 'ENCRYPT_DECRYPT' });
  const answer = await frontend.call(GetPublicKey, { KeyId: rsa.KeyMetadata?.KeyId });
  expect(answer).toEqual({
    KeyId: rsa.KeyMetadata?.Arn,
    PublicKey: new Uint8Array(Buffer.from(`public key of ${rsa.KeyMetadata?.KeyId}`)),
    CustomerMasterKeySpec: 'RSA_2048',
    KeySpec: 'RSA_2048',
    KeyUsage: 'ENCRYPT_DECRYPT',
    EncryptionAlgorithms: ['RSAES_OAEP_SHA_1', 'RSAES_OAEP_SHA_256'],
  });
  const symmetric = await frontend.call(CreateKey, {});
  expect(await frontend.refusal(GetPublicKey, { KeyId: symmetric.KeyMetadata?.KeyId })).toMatch(
    /^UnsupportedOperationException/,
  );
});

test('an account has as many keys as it may in a Region, and no more', async () => {
  const frontend = new FakeFrontend();
  for (let i = 0; i < frontend.keyQuota; i++) await frontend.call(CreateKey, {});
  expect(await frontend.refusal(CreateKey, {})).toBe(
    'LimitExceededException: Key quota for this account in this region is 100 but the current usage is 100.',
  );
});
