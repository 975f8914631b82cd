import { CustomerMasterKeySpec, KeySpec, KeyUsageType, type KeyMetadata } from '@aws-sdk/client-kms';
import { kms, refusalOf } from '@keyfleet/test-support/sdk-client';
import { newKey } from '@keyfleet/test-support/sdk-keys';
import { expect, test } from 'vitest';

type Algorithms = Partial<KeyMetadata>;
const oaep = { EncryptionAlgorithms: ['RSAES_OAEP_SHA_1', 'RSAES_OAEP_SHA_256'] } satisfies Algorithms;
const rsaSignatures = {
  SigningAlgorithms: [
    'RSASSA_PKCS1_V1_5_SHA_256',
    'RSASSA_PKCS1_V1_5_SHA_384',
    'RSASSA_PKCS1_V1_5_SHA_512',
    'RSASSA_PSS_SHA_256',
    'RSASSA_PSS_SHA_384',
    'RSASSA_PSS_SHA_512',
  ],
} satisfies Algorithms;
const ecdh = { KeyAgreementAlgorithms: ['ECDH'] } satisfies Algorithms;
const mlDsa = { SIGN_VERIFY: { SigningAlgorithms: ['ML_DSA_SHAKE_256'] } } satisfies Usages;
const mlKem = { ENCAPSULATE_DECAPSULATE: { EncapsulationAlgorithms: ['ML_KEM'] } } satisfies Usages;
type Usages = Partial<Record<KeyUsageType, Algorithms>>;

/** AWS's table of key specs, from its guide: what each can be for, and the algorithms it then has. */
const specs: Readonly<Partial<Record<KeySpec, Usages>>> = {
  SYMMETRIC_DEFAULT: { ENCRYPT_DECRYPT: { EncryptionAlgorithms: ['SYMMETRIC_DEFAULT'] } },
  RSA_2048: { ENCRYPT_DECRYPT: oaep, SIGN_VERIFY: rsaSignatures },
  RSA_3072: { ENCRYPT_DECRYPT: oaep, SIGN_VERIFY: rsaSignatures },
  RSA_4096: { ENCRYPT_DECRYPT: oaep, SIGN_VERIFY: rsaSignatures },
  ECC_NIST_P256: { SIGN_VERIFY: { SigningAlgorithms: ['ECDSA_SHA_256'] }, KEY_AGREEMENT: ecdh },
  ECC_NIST_P384: { SIGN_VERIFY: { SigningAlgorithms: ['ECDSA_SHA_384'] }, KEY_AGREEMENT: ecdh },
  ECC_NIST_P521: { SIGN_VERIFY: { SigningAlgorithms: ['ECDSA_SHA_512'] }, KEY_AGREEMENT: ecdh },
  ECC_SECG_P256K1: { SIGN_VERIFY: { SigningAlgorithms: ['ECDSA_SHA_256'] } },
  ECC_NIST_EDWARDS25519: { SIGN_VERIFY: { SigningAlgorithms: ['ED25519_SHA_512', 'ED25519_PH_SHA_512'] } },
  HMAC_224: { GENERATE_VERIFY_MAC: { MacAlgorithms: ['HMAC_SHA_224'] } },
  HMAC_256: { GENERATE_VERIFY_MAC: { MacAlgorithms: ['HMAC_SHA_256'] } },
  HMAC_384: { GENERATE_VERIFY_MAC: { MacAlgorithms: ['HMAC_SHA_384'] } },
  HMAC_512: { GENERATE_VERIFY_MAC: { MacAlgorithms: ['HMAC_SHA_512'] } },
  ML_DSA_44: mlDsa,
  ML_DSA_65: mlDsa,
  ML_DSA_87: mlDsa,
  ML_KEM_512: mlKem,
  ML_KEM_768: mlKem,
  ML_KEM_1024: mlKem,
};

const combinations = (Object.keys(specs) as KeySpec[]).flatMap((keySpec) =>
  Object.values(KeyUsageType).flatMap((keyUsage) =>
    (['AWS_KMS', 'EXTERNAL'] as const).map((origin) => ({
      keySpec,
      keyUsage,
      origin,
      algorithms: specs[keySpec]![keyUsage],
      importable: !keySpec.startsWith('ML_'),
    })),
  ),
);

test('the table has every key spec of the SDK but the one for China', () => {
  expect(Object.keys(specs).toSorted()).toEqual(
    Object.values(KeySpec)
      .filter((name) => name !== 'SM2')
      .toSorted(),
  );
});

test.each(
  combinations.filter(({ algorithms, importable, origin }) => algorithms && (importable || origin === 'AWS_KMS')),
)(
  'a key of $keySpec for $keyUsage with origin $origin is described in full',
  async ({ keySpec, keyUsage, origin, algorithms }) => {
    const made = await newKey({ KeySpec: keySpec, KeyUsage: keyUsage, Origin: origin });
    const isHere = origin === 'AWS_KMS';
    expect(made).toEqual({
      AWSAccountId: '000000000000',
      KeyId: expect.stringMatching(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/) as unknown,
      Arn: `arn:aws:kms:us-east-1:000000000000:key/${made.KeyId}`,
      CreationDate: expect.any(Date) as unknown,
      Enabled: isHere,
      Description: '',
      KeyUsage: keyUsage,
      KeyState: isHere ? 'Enabled' : 'PendingImport',
      Origin: origin,
      KeyManager: 'CUSTOMER',
      KeySpec: keySpec,
      CustomerMasterKeySpec: keySpec,
      MultiRegion: false,
      ...algorithms,
      ...(isHere &&
        keySpec === 'SYMMETRIC_DEFAULT' && {
          CurrentKeyMaterialId: expect.stringMatching(/^[0-9a-f]{64}$/) as unknown,
        }),
    });
    expect((await kms.describeKey({ KeyId: made.KeyId })).KeyMetadata).toEqual(made);
  },
);

test.each(combinations.filter(({ algorithms, origin }) => !algorithms && origin === 'AWS_KMS'))(
  'there is no key of $keySpec for $keyUsage',
  async ({ keySpec, keyUsage }) => {
    expect(await refusalOf(kms.createKey({ KeySpec: keySpec, KeyUsage: keyUsage }))).toBe(
      `ValidationException: KeyUsage ${keyUsage} is not compatible with KeySpec ${keySpec}`,
    );
  },
);

test.each(
  combinations.filter(({ algorithms, importable, origin }) => algorithms && !importable && origin === 'EXTERNAL'),
)('no material can be imported into $keySpec', async ({ keySpec, keyUsage }) => {
  expect(await refusalOf(kms.createKey({ KeySpec: keySpec, KeyUsage: keyUsage, Origin: 'EXTERNAL' }))).toBe(
    `ValidationException: KeySpec ${keySpec} is not supported for Origin EXTERNAL`,
  );
});

test.each(Object.keys(specs).filter((name) => name !== 'SYMMETRIC_DEFAULT') as KeySpec[])(
  'a key of %s needs a usage, also if there is only one',
  async (keySpec) => {
    expect(await refusalOf(kms.createKey({ KeySpec: keySpec }))).toBe(
      'ValidationException: You must specify a KeyUsage value for all KMS keys except for symmetric encryption keys.',
    );
  },
);

test.each(Object.values(CustomerMasterKeySpec).filter((name) => name === 'SYMMETRIC_DEFAULT' || name === 'HMAC_256'))(
  'the older CustomerMasterKeySpec %s means the same, but not beside KeySpec',
  async (name) => {
    const usage = name === 'HMAC_256' ? ({ KeyUsage: 'GENERATE_VERIFY_MAC' } as const) : {};
    expect(await newKey({ CustomerMasterKeySpec: name, ...usage })).toMatchObject({ KeySpec: name });
    expect(await refusalOf(kms.createKey({ CustomerMasterKeySpec: name, KeySpec: name, ...usage }))).toBe(
      'ValidationException: You cannot specify KeySpec and CustomerMasterKeySpec in the same request. CustomerMasterKeySpec is deprecated.',
    );
  },
);

test('SM2 is for China, and what is no choice at all is refused with the choices there are', async () => {
  for (const [KeySpec, KeyUsage] of [
    ['SM2', 'SIGN_VERIFY'],
    ['RSA_1024', 'SIGN_VERIFY'],
  ] as const) {
    const refusal = await refusalOf(kms.createKey({ KeySpec: KeySpec as 'SM2', KeyUsage }));
    expect(refusal).toMatch(
      new RegExp(
        `^ValidationException: 1 validation error detected: Value '${KeySpec}' at 'keySpec' failed to satisfy constraint: Member must satisfy enum value set: \\[.*SYMMETRIC_DEFAULT.*\\]$`,
      ),
    );
  }
});

test('a multi-Region key is the primary of itself', async () => {
  const made = await newKey({ MultiRegion: true, Description: 'everywhere' });
  expect(made.KeyId).toMatch(/^mrk-[0-9a-f]{32}$/);
  expect(made).toMatchObject({
    Description: 'everywhere',
    MultiRegion: true,
    MultiRegionConfiguration: {
      MultiRegionKeyType: 'PRIMARY',
      PrimaryKey: { Arn: made.Arn, Region: 'us-east-1' },
      ReplicaKeys: [],
    },
  });
});

const tag = (TagKey: string, TagValue = '') => ({ TagKey, TagValue });
test.each([
  [[tag('a'), tag('a')], 'TagException: Duplicate tag keys'],
  [Array.from({ length: 51 }, (_, i) => tag(`k${i}`)), 'TagException: Too many tags'],
  [[tag('aWs:x')], 'TagException: Tags beginning with aws: are reserved'],
  [
    [tag('')],
    "ValidationException: 1 validation error detected: Value '' at 'tags.1.member.tagKey' failed to satisfy constraint: Member must have length greater than or equal to 1",
  ],
  [
    [tag('ok'), tag('k', 'x'.repeat(257))],
    `ValidationException: 1 validation error detected: Value '${'x'.repeat(257)}' at 'tags.2.member.tagValue' failed to satisfy constraint: Member must have length less than or equal to 256`,
  ],
])('tags %# are refused', async (Tags, refusal) => {
  expect(await refusalOf(kms.createKey({ Tags }))).toBe(refusal);
});

test('fifty tags, empty values and every letter are a key’s to have', async () => {
  await newKey({ Tags: [...Array.from({ length: 49 }, (_, i) => tag(`k${i}`)), tag('ключ/é_.:=+-@ ', 'значение')] });
});

const statement = (changes: object) => ({
  Effect: 'Allow',
  Principal: { AWS: '*' },
  Action: 'kms:*',
  Resource: '*',
  ...changes,
});
const bob = { AWS: 'arn:aws:iam::111122223333:user/bob' };
test.each([
  ['is no JSON', '{', 'This policy contains invalid Json'],
  ['has no statement', '{"Version":"2012-10-17"}', 'Syntax errors in policy.'],
  ['has an unknown effect', policy(statement({ Effect: 'Perhaps' })), 'Syntax errors in policy.'],
  [
    'names a principal that cannot be',
    policy(statement({ Principal: { AWS: 'bob' } })),
    'Policy contains a statement with one or more invalid principals.',
  ],
  [
    'locks its maker out',
    policy(statement({ Principal: bob })),
    'The new key policy will not allow you to update the key policy in the future.',
  ],
  [
    'denies its maker',
    policy(statement({}), statement({ Effect: 'Deny', Action: 'kms:PutKeyPolicy' })),
    'The new key policy will not allow you to update the key policy in the future.',
  ],
  [
    'would match too much',
    policy(statement({ Condition: { 'ForAllValues:StringEquals': { 'kms:EncryptionContext:a': 'b' } } })),
    'OverlyPermissiveCondition: Using the ForAllValues set operator with a single-valued condition key matches requests without the specified [encryption context or tag] or with an unspecified [encryption context or tag]. To fix, remove ForAllValues.',
  ],
])('a policy that %s is malformed', async (_what, Policy, message) => {
  expect(await refusalOf(kms.createKey({ Policy }))).toBe(`MalformedPolicyDocumentException: ${message}`);
});

test('a policy is kept as it was given; without one, the account decides', async () => {
  const given = policy(statement({}), statement({ Principal: bob, Action: 'kms:DescribeKey' }));
  const { KeyId } = await newKey({ Policy: given });
  expect(await kms.getKeyPolicy({ KeyId })).toMatchObject({ Policy: given, PolicyName: 'default' });
  const locked = await newKey({ Policy: policy(statement({ Principal: bob })), BypassPolicyLockoutSafetyCheck: true });
  expect(await refusalOf(kms.describeKey({ KeyId: locked.KeyId }))).toMatch(
    /^AccessDeniedException: User: arn:aws:iam::000000000000:user\/\S+ is not authorized to perform: kms:DescribeKey on resource: arn:aws:kms:\S+ because no resource-based policy allows the kms:DescribeKey action$/,
  );
  const { Policy } = await kms.getKeyPolicy({ KeyId: (await newKey()).KeyId });
  expect(JSON.parse(Policy!)).toEqual({
    Version: '2012-10-17',
    Id: 'key-default-1',
    Statement: [
      {
        Sid: 'Enable IAM User Permissions',
        Effect: 'Allow',
        Principal: { AWS: 'arn:aws:iam::000000000000:root' },
        Action: 'kms:*',
        Resource: '*',
      },
    ],
  });
});

test('requests that are wrong in themselves are told all that is wrong', async () => {
  expect(await refusalOf(kms.createKey({ Description: 'x'.repeat(8193), CustomKeyStoreId: '' }))).toMatch(
    /^ValidationException: 2 validation errors detected: /,
  );
});

function policy(...statements: object[]): string {
  return JSON.stringify({ Version: '2012-10-17', Statement: statements });
}
