import { CreateKeyCommand, type CreateKeyRequest, EncryptCommand, type KMSClient } from '@aws-sdk/client-kms';

export interface Scenario {
  readonly name: string;
  readonly operation: string;
  /** Makes what the requests need and returns their bodies. */
  bodies(kms: KMSClient): Promise<readonly string[]>;
}

const plaintext = Buffer.alloc(32, 7);
const EncryptionContext = { purpose: 'benchmark' };
/** Enough for no cache of ciphertexts to be what is measured. */
const CIPHERTEXTS = 256;

async function createKey(kms: KMSClient, request: CreateKeyRequest = {}): Promise<string> {
  const { KeyMetadata } = await kms.send(new CreateKeyCommand(request));
  return KeyMetadata?.Arn ?? '';
}

function creating(name: string, request: CreateKeyRequest): Scenario {
  return { name, operation: 'CreateKey', bodies: () => Promise.resolve([JSON.stringify(request)]) };
}

/** One key, one body. */
function using(name: string, operation: string, key: CreateKeyRequest, rest: object): Scenario {
  return {
    name,
    operation,
    bodies: async (kms) => [JSON.stringify({ KeyId: await createKey(kms, key), ...rest })],
  };
}

const message = Buffer.alloc(32, 9).toString('base64');

export const scenarios: readonly Scenario[] = [
  using('encrypt', 'Encrypt', {}, { Plaintext: plaintext.toString('base64'), EncryptionContext }),
  {
    name: 'decrypt',
    operation: 'Decrypt',
    async bodies(kms) {
      const KeyId = await createKey(kms);
      const bodies: string[] = [];
      for (let count = 0; count < CIPHERTEXTS; count++) {
        const { CiphertextBlob } = await kms.send(
          new EncryptCommand({ KeyId, Plaintext: plaintext, EncryptionContext }),
        );
        bodies.push(
          JSON.stringify({ CiphertextBlob: Buffer.from(CiphertextBlob ?? []).toString('base64'), EncryptionContext }),
        );
      }
      return bodies;
    },
  },
  using('generate-data-key', 'GenerateDataKey', {}, { KeySpec: 'AES_256', EncryptionContext }),
  creating('create-key', {}),
  creating('create-key-rsa-2048', { KeySpec: 'RSA_2048', KeyUsage: 'SIGN_VERIFY' }),
  creating('create-key-p256', { KeySpec: 'ECC_NIST_P256', KeyUsage: 'SIGN_VERIFY' }),
  using(
    'sign-p256',
    'Sign',
    { KeySpec: 'ECC_NIST_P256', KeyUsage: 'SIGN_VERIFY' },
    {
      Message: message,
      SigningAlgorithm: 'ECDSA_SHA_256',
    },
  ),
  using(
    'sign-ed25519',
    'Sign',
    { KeySpec: 'ECC_NIST_EDWARDS25519', KeyUsage: 'SIGN_VERIFY' },
    {
      Message: message,
      SigningAlgorithm: 'ED25519_SHA_512',
    },
  ),
  using(
    'sign-rsa-2048',
    'Sign',
    { KeySpec: 'RSA_2048', KeyUsage: 'SIGN_VERIFY' },
    {
      Message: message,
      SigningAlgorithm: 'RSASSA_PSS_SHA_256',
    },
  ),
  using(
    'generate-mac',
    'GenerateMac',
    { KeySpec: 'HMAC_256', KeyUsage: 'GENERATE_VERIFY_MAC' },
    {
      Message: message,
      MacAlgorithm: 'HMAC_SHA_256',
    },
  ),
  {
    name: 'describe-key',
    operation: 'DescribeKey',
    bodies: async (kms) => [JSON.stringify({ KeyId: await createKey(kms) })],
  },
];
