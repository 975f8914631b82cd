import type { KeyName, Keys } from './keys.ts';
import { error, type Row } from './row.ts';

const incorrectKey = error(
  'IncorrectKeyException',
  'The key ID in the request does not identify a CMK that can perform this operation.',
);
const wrongUsage = (keys: Keys, name: KeyName, usage: string, operation: string) =>
  error('InvalidKeyUsageException', `${keys[name].arn} key usage is ${usage} which is not valid for ${operation}.`);
const disabled = (keys: Keys, name: KeyName) => error('DisabledException', `${keys[name].arn} is disabled.`);
const pendingDeletion = (keys: Keys, name: KeyName) =>
  error('KMSInvalidStateException', `${keys[name].arn} is pending deletion.`);
const pendingImport = (keys: Keys, name: KeyName) =>
  error('KMSInvalidStateException', `${keys[name].arn} is pending import.`);
const eitherSize = error('ValidationException', 'Please specify either number of bytes or key spec.');
const asymmetric = error('InvalidKeyUsageException', 'You cannot generate a data key with an asymmetric CMK');
const unsupported = error('UnsupportedOperationException');
const message = 'bWVzc2FnZQ==';
const signature = 'AAAA';

function crypto(operation: string, name: KeyName, algorithm: string): Pick<Row, 'operation' | 'body'> {
  const member = /Mac/.test(operation)
    ? 'MacAlgorithm'
    : /Sign|Verify/.test(operation)
      ? 'SigningAlgorithm'
      : 'EncryptionAlgorithm';
  return {
    operation,
    body: (keys) => ({
      KeyId: keys[name].id,
      ...(operation === 'Encrypt' ? { Plaintext: message } : { Message: message }),
      ...(operation === 'Verify' && { Signature: signature }),
      ...(operation === 'VerifyMac' && { Mac: signature }),
      [member]: algorithm,
    }),
  };
}

const usageBeforeState: readonly Row[] = (
  [
    ['Sign', 'dH', 'RSASSA_PSS_SHA_256', 'GENERATE_VERIFY_MAC'],
    ['Sign', 'pH', 'RSASSA_PSS_SHA_256', 'GENERATE_VERIFY_MAC'],
    ['Verify', 'dH', 'RSASSA_PSS_SHA_256', 'GENERATE_VERIFY_MAC'],
    ['Encrypt', 'dRS', 'RSAES_OAEP_SHA_256', 'SIGN_VERIFY'],
    ['Encrypt', 'pE', 'SYMMETRIC_DEFAULT', 'SIGN_VERIFY'],
    ['GenerateMac', 'dS', 'HMAC_SHA_256', 'ENCRYPT_DECRYPT'],
    ['VerifyMac', 'pS', 'HMAC_SHA_256', 'ENCRYPT_DECRYPT'],
    ['GenerateMac', 'X', 'HMAC_SHA_256', 'ENCRYPT_DECRYPT'],
  ] as const
).map(([operation, name, algorithm, usage]) => ({
  title: `${operation} with ${name}: usage comes before state (C)`,
  ...crypto(operation, name, algorithm),
  answer: (keys) => wrongUsage(keys, name, usage, operation),
}));

const stateBeforeAlgorithm: readonly Row[] = (
  [
    ['Sign', 'dRS', 'ECDSA_SHA_256', disabled],
    ['Sign', 'pE', 'ECDSA_SHA_384', pendingDeletion],
    ['GenerateMac', 'dH', 'HMAC_SHA_512', disabled],
    ['VerifyMac', 'pH', 'HMAC_SHA_512', pendingDeletion],
    ['Encrypt', 'dR', 'SYMMETRIC_DEFAULT', disabled],
  ] as const
).map(([operation, name, algorithm, answer]) => ({
  title: `${operation} with ${name} and ${algorithm}: state comes before algorithm (C)`,
  ...crypto(operation, name, algorithm),
  answer: (keys) => answer(keys, name),
}));

const algorithms: readonly Row[] = (
  [
    ['Sign', 'RS', 'SYMMETRIC_DEFAULT', 'RSA_2048'],
    ['Verify', 'RS', 'SYMMETRIC_DEFAULT', 'RSA_2048'],
    ['Sign', 'E', 'ECDSA_SHA_384', 'ECC_NIST_P256'],
    ['Sign', 'ED', 'ECDSA_SHA_512', 'ECC_NIST_EDWARDS25519'],
    ['GenerateMac', 'H', 'HMAC_SHA_512', 'HMAC_256'],
    ['Encrypt', 'R', 'SYMMETRIC_DEFAULT', 'RSA_2048'],
    ['Encrypt', 'S', 'RSAES_OAEP_SHA_1', 'SYMMETRIC_DEFAULT'],
  ] as const
).map(([operation, name, algorithm, spec]) => ({
  title: `${operation} with ${name} and ${algorithm} (C for SYMMETRIC_DEFAULT, A else)`,
  ...crypto(operation, name, algorithm),
  answer: () => error('InvalidKeyUsageException', `Algorithm ${algorithm} is incompatible with key spec ${spec}.`),
}));

const dataKeys: readonly Row[] = [
  ...(['GenerateDataKey', 'GenerateDataKeyWithoutPlaintext'] as const).flatMap((operation): Row[] => [
    ...(['S', 'dS', 'pS', 'dRS', 'dH', 'X'] as const).flatMap((name): Row[] =>
      [{}, { KeySpec: 'AES_256', NumberOfBytes: 32 }].map((sizes) => ({
        title: `${operation} of ${name} with ${'KeySpec' in sizes ? 'two sizes' : 'no size'}: the size comes before usage and state (C)`,
        operation,
        body: (keys) => ({ KeyId: keys[name].id, ...sizes }),
        answer: () => eitherSize,
      })),
    ),
    {
      title: `${operation} under RSA (C)`,
      operation,
      body: ({ R }) => ({ KeyId: R.id, KeySpec: 'AES_256' }),
      answer: () => asymmetric,
    },
    {
      title: `${operation} under a disabled RSA key: state comes before the key's spec (C)`,
      operation,
      body: ({ dR }) => ({ KeyId: dR.id, KeySpec: 'AES_256' }),
      answer: (keys) => disabled(keys, 'dR'),
    },
    {
      title: `${operation} under a key of another usage, disabled (C)`,
      operation,
      body: ({ dE }) => ({ KeyId: dE.id, KeySpec: 'AES_256' }),
      answer: (keys) => wrongUsage(keys, 'dE', 'SIGN_VERIFY', operation),
    },
  ]),
  {
    title: 'GenerateDataKeyPair under RSA (as GenerateDataKey: C)',
    operation: 'GenerateDataKeyPair',
    body: ({ R }) => ({ KeyId: R.id, KeyPairSpec: 'ECC_NIST_P256' }),
    answer: () => asymmetric,
  },
];

const decryption: readonly Row[] = [
  ...(['R', 'RS', 'H', 'E', 'S2', 'X', 'dS', 'pS', 'dR', 'dH', 'pE'] as const).map((name): Row => ({
    title: `Decrypt of S's blob with KeyId ${name}: the wrong key, whatever its usage, state and algorithms (C; A for H)`,
    operation: 'Decrypt',
    body: (keys) => ({ CiphertextBlob: keys.blob, KeyId: keys[name].arn }),
    answer: () => incorrectKey,
  })),
  ...(['H', 'S2', 'dS', 'X'] as const).map((name): Row => ({
    title: `ReEncrypt, SourceKeyId ${name}, DestinationKeyId H: the source comes first (A)`,
    operation: 'ReEncrypt',
    body: (keys) => ({ CiphertextBlob: keys.blob, SourceKeyId: keys[name].id, DestinationKeyId: keys.H.id }),
    answer: () => incorrectKey,
  })),
  {
    title: 'ReEncrypt to a key of another usage (A)',
    operation: 'ReEncrypt',
    body: ({ blob, H }) => ({ CiphertextBlob: blob, DestinationKeyId: H.id }),
    answer: (keys) => wrongUsage(keys, 'H', 'GENERATE_VERIFY_MAC', 'ReEncrypt'),
  },
  {
    title: 'ReEncrypt to a key without material (C)',
    operation: 'ReEncrypt',
    body: ({ blob, X }) => ({ CiphertextBlob: blob, DestinationKeyId: X.id }),
    answer: (keys) => pendingImport(keys, 'X'),
  },
  ...[undefined, true].map((DryRun): Row => ({
    title: `ReEncrypt of more than an RSA key can encrypt${DryRun ? ', as a dry run' : ''} (as Encrypt: A)`,
    operation: 'ReEncrypt',
    body: ({ longBlob, R }) => ({
      CiphertextBlob: longBlob,
      DestinationKeyId: R.id,
      DestinationEncryptionAlgorithm: 'RSAES_OAEP_SHA_256',
      DryRun,
    }),
    answer: () =>
      error(
        'ValidationException',
        'Algorithm RSAES_OAEP_SHA_256 and key spec RSA_2048 cannot encrypt data larger than 190 bytes.',
      ),
  })),
  {
    title: 'ReEncrypt without a ciphertext, to an alias that is not there: the ciphertext comes first (C)',
    operation: 'ReEncrypt',
    body: () => ({ DestinationKeyId: 'alias/no-such' }),
    answer: () =>
      error(
        'ValidationException',
        "1 validation error detected: Value null at 'ciphertextBlob' failed to satisfy constraint: Member must not be null",
      ),
  },
  {
    title:
      "Decrypt of R's ciphertext with R and no algorithm: an RSA ciphertext names no key, so the algorithm is wrong",
    operation: 'Decrypt',
    body: ({ rsaBlob, R }) => ({ CiphertextBlob: rsaBlob, KeyId: R.id }),
    answer: () =>
      error('InvalidKeyUsageException', 'Algorithm SYMMETRIC_DEFAULT is incompatible with key spec RSA_2048.'),
  },
  ...(['S', 'R'] as const).map((name): Row => ({
    title: `Decrypt of garbage with ${name} tells nothing (C)`,
    operation: 'Decrypt',
    body: (keys) => ({
      CiphertextBlob: 'Af//',
      KeyId: keys[name].id,
      ...(name === 'R' && { EncryptionAlgorithm: 'RSAES_OAEP_SHA_256' }),
    }),
    answer: () => error('InvalidCiphertextException'),
  })),
];

const kindsOfKeys: readonly Row[] = [
  ...(['S', 'H', 'dS'] as const).map((name): Row => ({
    title: `GetPublicKey of ${name} (B)`,
    operation: 'GetPublicKey',
    body: (keys) => ({ KeyId: keys[name].id }),
    answer: () => unsupported,
  })),
  ...(['pE', 'pH'] as const).map((name): Row => ({
    title: `GetPublicKey of ${name}: state comes before the kind (C)`,
    operation: 'GetPublicKey',
    body: (keys) => ({ KeyId: keys[name].id }),
    answer: (keys) => pendingDeletion(keys, name),
  })),
  {
    title: 'GetPublicKey of X: reports (C) win over the guide, which lists the state as fine',
    operation: 'GetPublicKey',
    body: ({ X }) => ({ KeyId: X.id }),
    answer: (keys) => pendingImport(keys, 'X'),
  },
  ...(['H', 'R', 'RS', 'E', 'ML'] as const).map((name): Row => ({
    title: `DisableKeyRotation of ${name} (B)`,
    operation: 'DisableKeyRotation',
    body: (keys) => ({ KeyId: keys[name].id }),
    status: 200,
    answer: () => undefined,
  })),
  ...(['H', 'R', 'E'] as const).flatMap((name): Row[] =>
    ['EnableKeyRotation', 'RotateKeyOnDemand'].map((operation) => ({
      title: `${operation} of ${name} (B)`,
      operation,
      body: (keys) => ({ KeyId: keys[name].id }),
      answer: () => unsupported,
    })),
  ),
  ...(['EnableKeyRotation', 'DisableKeyRotation', 'RotateKeyOnDemand'] as const).flatMap((operation): Row[] => [
    {
      title: `${operation} of a disabled HMAC key: state comes before the kind (C)`,
      operation,
      body: ({ dH }) => ({ KeyId: dH.id }),
      answer: (keys) => disabled(keys, 'dH'),
    },
    {
      title: `${operation} of an HMAC key that is pending deletion (C)`,
      operation,
      body: ({ pH }) => ({ KeyId: pH.id }),
      answer: (keys) => pendingDeletion(keys, 'pH'),
    },
  ]),
  ...(['EnableKeyRotation', 'DisableKeyRotation', 'GetKeyRotationStatus'] as const).map((operation): Row => ({
    title: `${operation} of X (A)`,
    operation,
    body: ({ X }) => ({ KeyId: X.id }),
    answer: ({ X }) =>
      error('UnsupportedOperationException', `${X.arn} origin is EXTERNAL which is not valid for this operation.`),
  })),
  {
    title: 'RotateKeyOnDemand of X: state comes before the kind (A)',
    operation: 'RotateKeyOnDemand',
    body: ({ X }) => ({ KeyId: X.id }),
    answer: (keys) => pendingImport(keys, 'X'),
  },
];

export const orderRows = [
  ...usageBeforeState,
  ...stateBeforeAlgorithm,
  ...algorithms,
  ...dataKeys,
  ...decryption,
  ...kindsOfKeys,
];
