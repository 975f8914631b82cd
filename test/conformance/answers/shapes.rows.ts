import { error, invalid, outOfReach, type Row } from './row.ts';

const missing = '00000000-0000-0000-0000-000000000000';
const message = 'bWVzc2FnZQ==';
const at = (member: string, value: string | null | undefined, constraint: string): string =>
  `Value${value === undefined ? '' : value === null ? ' null' : ` '${value}'`} at '${member}' failed to satisfy constraint: ${constraint}`;
const set = (values: string) => `Member must satisfy enum value set: [${values}]`;
const shortest = 'Member must have length greater than or equal to 1';
const ascii = String.raw`Member must satisfy regular expression pattern: ^\p{ASCII}+$`;
const notNull = 'Member must not be null';

/** Recorded in 2023, in the order of the message; the specs that came later follow (decided). */
const keySpecs =
  'RSA_2048, ECC_NIST_P384, ECC_NIST_P256, ECC_NIST_P521, HMAC_384, RSA_3072, ECC_SECG_P256K1, RSA_4096, SYMMETRIC_DEFAULT, HMAC_256, HMAC_224, HMAC_512';
const pairSpecs =
  'RSA_2048, RSA_3072, RSA_4096, ECC_NIST_P256, ECC_NIST_P384, ECC_NIST_P521, ECC_SECG_P256K1, ECC_NIST_EDWARDS25519, ML_KEM_512, ML_KEM_768, ML_KEM_1024';
const macs = 'HMAC_SHA_384, HMAC_SHA_256, HMAC_SHA_224, HMAC_SHA_512';
const ciphers = 'RSAES_OAEP_SHA_1, RSAES_OAEP_SHA_256, SM2PKE, SYMMETRIC_DEFAULT';
const signatures =
  'RSASSA_PSS_SHA_256, RSASSA_PSS_SHA_384, RSASSA_PSS_SHA_512, RSASSA_PKCS1_V1_5_SHA_256, RSASSA_PKCS1_V1_5_SHA_384, RSASSA_PKCS1_V1_5_SHA_512, ECDSA_SHA_256, ECDSA_SHA_384, ECDSA_SHA_512, ED25519_SHA_512, ED25519_PH_SHA_512, SM2DSA, ML_DSA_SHAKE_256';

type Choice = readonly [operation: string, body: object, member: string, value: string, listed: string, how: string];
const choices: readonly Choice[] = [
  [
    'CreateKey',
    { KeySpec: 'SM2', KeyUsage: 'SIGN_VERIFY' },
    'keySpec',
    'SM2',
    `${keySpecs}, ECC_NIST_EDWARDS25519, ML_DSA_44, ML_DSA_65, ML_DSA_87, ML_KEM_512, ML_KEM_768, ML_KEM_1024`,
    'A',
  ],
  ['CreateKey', { CustomerMasterKeySpec: 'SM2' }, 'customerMasterKeySpec', 'SM2', keySpecs, 'A'],
  [
    'CreateKey',
    { KeyUsage: 'RANDOM' },
    'keyUsage',
    'RANDOM',
    'ENCRYPT_DECRYPT, SIGN_VERIFY, GENERATE_VERIFY_MAC, KEY_AGREEMENT, ENCAPSULATE_DECAPSULATE',
    'A',
  ],
  ['GenerateDataKeyPair', { KeyId: missing, KeyPairSpec: 'SM2' }, 'keyPairSpec', 'SM2', pairSpecs, 'A'],
  ['GenerateDataKey', { KeyId: missing, KeySpec: 'FOO' }, 'keySpec', 'FOO', pairSpecs, 'C'],
  [
    'GenerateDataKey',
    { KeyId: missing, KeySpec: 'RSA_2048' },
    'keySpec',
    'RSA_2048',
    pairSpecs,
    'C, though it lists what it refuses',
  ],
  ['GenerateDataKeyWithoutPlaintext', { KeyId: missing, KeySpec: 'FOO' }, 'keySpec', 'FOO', pairSpecs, 'C'],
  ['GenerateMac', { KeyId: missing, Message: message, MacAlgorithm: 'INVALID' }, 'macAlgorithm', 'INVALID', macs, 'A'],
  [
    'VerifyMac',
    { KeyId: missing, Message: message, Mac: 'AAAA', MacAlgorithm: 'hmac_sha_256' },
    'macAlgorithm',
    'hmac_sha_256',
    macs,
    'A',
  ],
  [
    'Encrypt',
    { KeyId: missing, Plaintext: message, EncryptionAlgorithm: 'FOO' },
    'encryptionAlgorithm',
    'FOO',
    ciphers,
    'C',
  ],
  ['Decrypt', { CiphertextBlob: 'AAAA', EncryptionAlgorithm: 'FOO' }, 'encryptionAlgorithm', 'FOO', ciphers, 'C'],
  ['Sign', { KeyId: missing, Message: message, SigningAlgorithm: 'FOO' }, 'signingAlgorithm', 'FOO', signatures, 'C'],
  [
    'Sign',
    { KeyId: missing, Message: message, SigningAlgorithm: 'RSAES_OAEP_SHA_256' },
    'signingAlgorithm',
    'RSAES_OAEP_SHA_256',
    signatures,
    'C',
  ],
  [
    'Sign',
    { KeyId: missing, Message: message, SigningAlgorithm: 'ECDSA_SHA_256', MessageType: 'FOO' },
    'messageType',
    'FOO',
    'RAW, DIGEST, EXTERNAL_MU',
    'C',
  ],
];

const absent: readonly (readonly [operation: string, body: object, member: string, says: null | undefined])[] = [
  ['Encrypt', { KeyId: missing }, 'plaintext', undefined],
  ['Sign', { KeyId: missing, SigningAlgorithm: 'ECDSA_SHA_256' }, 'message', undefined],
  ['Verify', { KeyId: missing, Signature: 'AAAA', SigningAlgorithm: 'ECDSA_SHA_256' }, 'message', undefined],
  ['GenerateMac', { KeyId: missing, MacAlgorithm: 'HMAC_SHA_256' }, 'message', undefined],
  ['VerifyMac', { KeyId: missing, Mac: 'AAAA', MacAlgorithm: 'HMAC_SHA_256' }, 'message', undefined],
  ['Decrypt', {}, 'ciphertextBlob', null],
  ['Verify', { KeyId: missing, Message: message, SigningAlgorithm: 'ECDSA_SHA_256' }, 'signature', null],
  ['VerifyMac', { KeyId: missing, Message: message, MacAlgorithm: 'HMAC_SHA_256' }, 'mac', null],
  ['DescribeKey', {}, 'keyId', null],
  ['ScheduleKeyDeletion', {}, 'keyId', null],
  ['CreateAlias', { AliasName: 'alias/x' }, 'targetKeyId', null],
];

const identifiers: readonly (readonly [id: (prefix: string) => string, text: (prefix: string) => string])[] = [
  [
    () => '786CA7CD-B74B-42B3-B887-902AD7AB6429',
    (prefix) => `Key '${prefix}key/786CA7CD-B74B-42B3-B887-902AD7AB6429' does not exist`,
  ],
  [
    () => 'mrk-1234567812341234123412345678901a',
    (prefix) => `Key '${prefix}key/mrk-1234567812341234123412345678901a' does not exist`,
  ],
  [(prefix) => `${prefix}key/${missing}`, (prefix) => `Key '${prefix}key/${missing}' does not exist`],
  [(prefix) => `${prefix}key/foo`, () => 'Invalid keyId foo'],
  [() => 'foo', () => "Invalid keyId 'foo'"],
  [() => '12345678123412341234123456789012', () => "Invalid keyId '12345678123412341234123456789012'"],
  [() => 'mrk-1234', () => "Invalid keyId 'mrk-1234'"],
  [(prefix) => prefix.replace('us-east-1', 'eu-west-1') + 'alias/x', () => 'Invalid arn eu-west-1'],
  [(prefix) => `${prefix}alias/no-such`, (prefix) => `Alias ${prefix}alias/no-such is not found.`],
];

const other = 'arn:aws:iam::111122223333:user/other';

export const shapeRows: readonly Row[] = [
  ...choices.map(([operation, body, member, value, listed, how]) => ({
    title: `${operation} with ${member} ${value} lists in AWS's order (${how})`,
    operation,
    body: () => body,
    answer: () => invalid(at(member, value, set(listed))),
  })),
  ...absent.map(([operation, body, member, says]) => ({
    title: `${operation} without ${member} ${says === null ? 'says null' : 'says nothing of it, as it is sensitive'} (C)`,
    operation,
    body: () => body,
    answer: () => invalid(at(member, says, notNull)),
  })),
  {
    title: 'an empty KeyId is two errors (C)',
    operation: 'GetPublicKey',
    body: () => ({ KeyId: '' }),
    answer: () => invalid(at('keyId', '', shortest), at('keyId', '', ascii)),
  },
  {
    title: 'a KeyId that is not ASCII (C)',
    operation: 'DescribeKey',
    body: () => ({ KeyId: 'キー' }),
    answer: () => invalid(at('keyId', 'キー', ascii)),
  },
  {
    title: 'eleven grant tokens are printed: the model does not call them sensitive (C)',
    operation: 'DescribeKey',
    body: () => ({ KeyId: missing, GrantTokens: Array.from({ length: 11 }, (_, i) => `t${i}`) }),
    answer: () =>
      invalid(
        at(
          'grantTokens',
          `[${Array.from({ length: 11 }, (_, i) => `t${i}`).join(', ')}]`,
          'Member must have length less than or equal to 10',
        ),
      ),
  },
  ...identifiers.map(([id, text]): Row => ({
    title: `DescribeKey of ${id('<arn>')} (C; A for what is no key id)`,
    operation: 'DescribeKey',
    body: ({ prefix }) => ({ KeyId: id(prefix) }),
    answer: ({ prefix }) => error('NotFoundException', text(prefix)),
  })),
  ...(
    [
      ['ED25519_SHA_512', 'DIGEST'],
      ['ED25519_PH_SHA_512', 'RAW'],
    ] as const
  ).map(([algorithm, type]): Row => ({
    title: `${algorithm} with message type ${type} (C)`,
    operation: 'Sign',
    body: ({ ED }) => ({ KeyId: ED.id, Message: message, MessageType: type, SigningAlgorithm: algorithm }),
    answer: () => error('ValidationException', `Message type ${type} is incompatible with algorithm ${algorithm}.`),
  })),
  {
    title: 'ML-DSA with message type DIGEST names the spec (C)',
    operation: 'Sign',
    body: ({ ML }) => ({ KeyId: ML.id, Message: message, MessageType: 'DIGEST', SigningAlgorithm: 'ML_DSA_SHAKE_256' }),
    answer: () => error('ValidationException', 'Message type DIGEST is incompatible with key spec ML_DSA_44.'),
  },
  ...(['S', 'E', 'H'] as const).map((name): Row => ({
    title: `GetKeyRotationStatus of ${name} has the ARN for KeyId (A)`,
    operation: 'GetKeyRotationStatus',
    body: (keys) => ({ KeyId: keys[name].id }),
    status: 200,
    answer: (keys) => ({ KeyRotationEnabled: false, KeyId: keys[name].arn }),
  })),
  ...(
    [
      ['Encrypt', { Plaintext: '####' }],
      ['Encrypt', { Plaintext: 'aGVsbG8' }],
      ['Decrypt', { CiphertextBlob: '_-__' }],
    ] as const
  ).map(([operation, body]): Row => ({
    title: `${operation} of what is not base64 says nothing (B): ${JSON.stringify(body)}`,
    operation,
    body: ({ S }) => ({ KeyId: S.id, ...body }),
    answer: () => error('SerializationException'),
  })),
  ...(['Encrypt', 'Decrypt', 'ReEncrypt', 'GenerateDataKey'] as const).map((operation): Row => ({
    title: `${operation} with an encryption context of more than 8,192 characters (the limit and the text are ours)`,
    operation,
    body: ({ blob, S }) => {
      const EncryptionContext = { a: 'b'.repeat(8192) };
      if (operation === 'Encrypt') return { KeyId: S.id, Plaintext: message, EncryptionContext };
      if (operation === 'Decrypt') return { CiphertextBlob: blob, EncryptionContext };
      if (operation === 'GenerateDataKey') return { KeyId: S.id, KeySpec: 'AES_256', EncryptionContext };
      return { CiphertextBlob: blob, DestinationKeyId: S.id, DestinationEncryptionContext: EncryptionContext };
    },
    answer: () => {
      const member = operation === 'ReEncrypt' ? 'destinationEncryptionContext' : 'encryptionContext';
      const constraint = 'Map must have a total length of keys and values less than or equal to 8192';
      const message = `1 validation error detected: Value at '${member}' failed to satisfy constraint: ${constraint}`;
      return error('ValidationException', message);
    },
  })),
  ...['DescribeKey', 'Encrypt', 'GetPublicKey'].flatMap((operation): Row[] =>
    ['existing', 'missing'].map((which) => ({
      title: `${operation} of another account's key, ${which} (B)`,
      operation,
      by: 'other' as const,
      body: ({ S, prefix }) => ({
        KeyId: which === 'existing' ? S.arn : `${prefix}key/${missing}`,
        Plaintext: message,
      }),
      answer: () =>
        error(
          'AccessDeniedException',
          `User: ${other} is not authorized to perform: kms:${operation} on this resource ${outOfReach}`,
        ),
    })),
  ),
  {
    title: "Decrypt of another account's ciphertext (B; the sentence of 2022 is out of date)",
    operation: 'Decrypt',
    by: 'other',
    body: ({ blob }) => ({ CiphertextBlob: blob }),
    answer: () =>
      error(
        'AccessDeniedException',
        `User: ${other} is not authorized to perform: kms:Decrypt on the resource associated with this ciphertext ${outOfReach}`,
      ),
  },
];

const takeTokens: readonly (readonly [operation: string, body: object])[] = [
  ['DescribeKey', {}],
  ['Encrypt', { Plaintext: message }],
  ['GenerateDataKey', { KeySpec: 'AES_256' }],
  ['GenerateDataKeyWithoutPlaintext', { KeySpec: 'AES_256' }],
  ['GenerateDataKeyPair', { KeyPairSpec: 'ECC_NIST_P256' }],
  ['GenerateDataKeyPairWithoutPlaintext', { KeyPairSpec: 'ECC_NIST_P256' }],
  ['GetPublicKey', {}],
  ['Sign', { Message: message, SigningAlgorithm: 'ECDSA_SHA_256' }],
  ['Verify', { Message: message, Signature: 'AAAA', SigningAlgorithm: 'ECDSA_SHA_256' }],
  ['GenerateMac', { Message: message, MacAlgorithm: 'HMAC_SHA_256' }],
  ['VerifyMac', { Message: message, Mac: 'AAAA', MacAlgorithm: 'HMAC_SHA_256' }],
];
const junk = error('InvalidGrantTokenException', 'A grant token is not valid.');

export const tokenRows: readonly Row[] = [
  ...takeTokens.map(([operation, body]): Row => ({
    title: `${operation} with a grant token that nobody was given (A; the text is ours)`,
    operation,
    body: ({ S }) => ({ KeyId: S.id, ...body, GrantTokens: ['junk'] }),
    answer: () => junk,
  })),
  {
    title: 'Decrypt with a grant token that nobody was given (A)',
    operation: 'Decrypt',
    body: ({ blob }) => ({ CiphertextBlob: blob, GrantTokens: ['junk'] }),
    answer: () => junk,
  },
  {
    title: 'ReEncrypt with a grant token that nobody was given (A)',
    operation: 'ReEncrypt',
    body: ({ blob, S }) => ({ CiphertextBlob: blob, DestinationKeyId: S.id, GrantTokens: ['junk'] }),
    answer: () => junk,
  },
];
