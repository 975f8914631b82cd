import { randomUUID } from 'node:crypto';
import { UnsupportedError } from '../bench-error.ts';
import type { WireRequest } from '../wire/endpoint.ts';
import type { Output, Protocol } from './target.ts';

/** Key specs of AWS -> key types of transit. */
const types: Readonly<Record<string, string>> = {
  SYMMETRIC_DEFAULT: 'aes256-gcm96',
  RSA_2048: 'rsa-2048',
  RSA_3072: 'rsa-3072',
  RSA_4096: 'rsa-4096',
  ECC_NIST_P256: 'ecdsa-p256',
  ECC_NIST_P384: 'ecdsa-p384',
  ECC_NIST_P521: 'ecdsa-p521',
  ECC_NIST_EDWARDS25519: 'ed25519',
};
const VERSION = 'vault:v1:';

type Data = Readonly<Record<string, unknown>>;

interface Mapping {
  request(input: Data, key: string): { readonly method?: string; readonly path: string; readonly body?: Data };
  answer?(data: Data, path: string): Output;
}

/** The AWS KMS API on transit. Source: the "Transit secrets engine (API)" pages of OpenBao and Vault. */
const mappings: Readonly<Record<string, Mapping>> = {
  CreateKey: {
    // The caller names the key there.
    request({ KeySpec = 'SYMMETRIC_DEFAULT' }) {
      const type = types[String(KeySpec)];
      if (type === undefined) throw new UnsupportedError(`transit has no ${String(KeySpec)}`);
      return { path: `keys/${randomUUID()}`, body: { type } };
    },
    answer: (_, path) => metadata(path.slice(path.lastIndexOf('/') + 1)),
  },
  DescribeKey: {
    request: (_, key) => ({ method: 'GET', path: `keys/${key}` }),
    answer: ({ name, type }) => metadata(String(name), type),
  },
  GetPublicKey: {
    request: (_, key) => ({ method: 'GET', path: `keys/${key}` }),
    answer: ({ keys }) => ({ PublicKey: spkiOf((keys as Record<string, { public_key: string }>)['1']!.public_key) }),
  },
  Encrypt: {
    request: ({ Plaintext, EncryptionContext }, key) => ({
      path: `encrypt/${key}`,
      body: { plaintext: Plaintext, ...associated(EncryptionContext) },
    }),
    answer: ({ ciphertext }) => ({ CiphertextBlob: withoutVersion(ciphertext) }),
  },
  Decrypt: {
    request: ({ CiphertextBlob, EncryptionContext }, key) => ({
      path: `decrypt/${key}`,
      body: { ciphertext: `${VERSION}${String(CiphertextBlob)}`, ...associated(EncryptionContext) },
    }),
    answer: ({ plaintext }) => ({ Plaintext: plaintext }),
  },
  GenerateDataKey: {
    request({ EncryptionContext }, key) {
      if (EncryptionContext !== undefined) throw new UnsupportedError('transit binds no context to a data key');
      return { path: `datakey/plaintext/${key}`, body: { bits: 256 } };
    },
    answer: ({ plaintext, ciphertext }) => ({ Plaintext: plaintext, CiphertextBlob: withoutVersion(ciphertext) }),
  },
  GenerateRandom: {
    request: ({ NumberOfBytes }) => ({ path: `random/${String(NumberOfBytes)}`, body: {} }),
    answer: ({ random_bytes: bytes }) => ({ Plaintext: bytes }),
  },
  Sign: {
    request: ({ Message, SigningAlgorithm }, key) => ({
      path: `sign/${key}`,
      body: { input: Message, ...signing(String(SigningAlgorithm)) },
    }),
    answer: ({ signature }) => ({ Signature: withoutVersion(signature) }),
  },
  Verify: {
    request: ({ Message, Signature, SigningAlgorithm }, key) => ({
      path: `verify/${key}`,
      body: { input: Message, signature: `${VERSION}${String(Signature)}`, ...signing(String(SigningAlgorithm)) },
    }),
    answer: ({ valid }) => ({ SignatureValid: valid }),
  },
};

/** OpenBao's and Vault's transit engine at a mount point, with a token. */
export function transit(mount: string, token: string): Protocol {
  const headers = { 'x-vault-token': token, 'content-type': 'application/json' };
  return {
    encode(call): WireRequest {
      const mapping = mappings[call.operation];
      if (!mapping) throw new UnsupportedError(`transit has no ${call.operation}`);
      const { method = 'POST', path, body } = mapping.request(call.input, String(call.keyId ?? call.input['KeyId']));
      return { method, path: `/v1/${mount}/${path}`, headers, body: body === undefined ? '' : JSON.stringify(body) };
    },
    namesKeys: true,
    decode(call, { body }, { path }) {
      const { data = {} } = (body.length === 0 ? {} : JSON.parse(body.toString())) as { data?: Data };
      return mappings[call.operation]!.answer?.(data, path) ?? {};
    },
  };
}

function metadata(name: string, type?: unknown): Output {
  const KeySpec = Object.keys(types).find((spec) => types[spec] === type);
  return { KeyMetadata: { KeyId: name, Arn: name, KeySpec } };
}

function associated(context: unknown): Data {
  return context === undefined ? {} : { associated_data: Buffer.from(JSON.stringify(context)).toString('base64') };
}

function signing(algorithm: string): Data {
  const hash_algorithm = `sha2-${algorithm.slice(-3)}`;
  if (algorithm.startsWith('RSASSA_PSS')) return { hash_algorithm, signature_algorithm: 'pss', salt_length: 'hash' };
  if (algorithm.startsWith('RSASSA_PKCS1')) return { hash_algorithm, signature_algorithm: 'pkcs1v15' };
  if (algorithm.startsWith('ECDSA')) return { hash_algorithm, marshaling_algorithm: 'asn1' };
  if (algorithm === 'ED25519_SHA_512') return {};
  throw new UnsupportedError(`transit has no ${algorithm}`);
}

function withoutVersion(text: unknown): string {
  return String(text).slice(String(text).lastIndexOf(':') + 1);
}

/** A PEM, or for Ed25519 the 32 bytes alone; DER in base64. The prefix is that of RFC 8410, section 4. */
function spkiOf(publicKey: string): string {
  if (publicKey.startsWith('-----')) return publicKey.replaceAll(/-----[^-]+-----|\s/g, '');
  return Buffer.concat([Buffer.from('302a300506032b6570032100', 'hex'), Buffer.from(publicKey, 'base64')]).toString(
    'base64',
  );
}
