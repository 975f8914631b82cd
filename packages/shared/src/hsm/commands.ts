import { z } from 'zod';
import { bytes } from '../encoding/canonical.ts';
import {
  AccountId,
  algorithm,
  cluster,
  encryptionContext,
  key,
  imported,
  keyId,
  KeySpecName,
  KeyUsageName,
  loggedIn,
  materialId,
  messageType,
  randomLength,
  token,
  wrappingAlgorithm,
  WrappingKeySpecName,
} from './command-fields.ts';
import { type CommandInput, type CommandOutput, defineCommand, optionalSecret, secret } from './define-command.ts';
import * as forRecipient from './recipient-commands.ts';

/** Makes a backing key, which leaves only as an exported key token under the active domain key. */
export const GenerateBackingKey = defineCommand(1, 'GenerateBackingKey', {
  signed: true,
  input: { keyId, account: AccountId, keySpec: KeySpecName, keyUsage: KeyUsageName },
  /** `publicKey`: DER SubjectPublicKeyInfo of an asymmetric key. */
  output: { token, materialId, publicKey: bytes().optional() },
});

/**
 * Reseals a token under the active domain key: same content, newest format. Returns a token that already is so
 * unchanged. `account`: the one of the token's KMS key; absent for a credential.
 */
export const ResealToken = defineCommand(2, 'ResealToken', {
  signed: true,
  input: { token, account: AccountId.optional() },
  output: { token },
});

/** Makes an access key's secret (40 ASCII characters, as AWS's). Its sealed form is what gets stored. */
export const GenerateCredential = defineCommand(3, 'GenerateCredential', {
  signed: true,
  input: { accessKeyId: z.string().max(128), principal: z.string().max(2048) },
  output: { secretAccessKey: secret, token },
});

/** Opens a sealed access-key secret, to verify signatures made with it. */
export const OpenCredential = defineCommand(4, 'OpenCredential', {
  input: { accessKeyId: z.string().max(128), principal: z.string().max(2048), token },
  output: { secretAccessKey: secret },
});

/**
 * Opens `token` and `replaces`, and refuses with `cannot-open` unless both hold the same secret for the same use.
 * Before an old token is given up, a member other than the one that resealed it runs this. `account` as in ResealToken.
 */
export const CheckToken = defineCommand(5, 'CheckToken', {
  input: { token, replaces: token, account: AccountId.optional() },
  output: {},
});

const description = { materialId, keySpec: KeySpecName, keyUsage: KeyUsageName, publicKey: bytes().optional() };

/**
 * Opens a backing key and describes it. Refuses with `cannot-open` also if the halves of a key pair, which it tries
 * once, do not belong together.
 */
export const DescribeBackingKey = defineCommand(6, 'DescribeBackingKey', { input: key, output: description });

/**
 * Makes a wrapping key for the material of a key of origin EXTERNAL. The private half leaves only inside the import
 * token, which names the key, its kind, the algorithm and the expiry time (`validTo`, milliseconds since the epoch).
 * `publicKey`: DER SubjectPublicKeyInfo.
 */
export const GenerateImportKey = defineCommand(7, 'GenerateImportKey', {
  signed: true,
  input: { ...imported, wrappingAlgorithm, wrappingKeySpec: WrappingKeySpecName },
  output: { importToken: bytes(), publicKey: bytes(), validTo: z.int() },
});

/**
 * Unwraps key material with the key in an import token and seals it as a backing key. Refuses with
 * `invalid-import-token`, `expired-import-token`, `cannot-open` (it does not unwrap, for whatever reason) or
 * `incorrect-material` (it does not fit the key spec).
 */
export const ImportBackingKey = defineCommand(8, 'ImportBackingKey', {
  signed: true,
  input: { ...imported, importToken: bytes({ max: 6144 }), encryptedMaterial: bytes({ max: 6144 }) },
  output: { token, materialId, publicKey: bytes().optional() },
});

/**
 * Seals a secret from a customer, with which the service authenticates itself elsewhere: to the proxy of an external
 * key store. OpenCredential opens it. `principal`: what the secret belongs to.
 */
export const SealCredential = defineCommand(9, 'SealCredential', {
  signed: true,
  input: { accessKeyId: z.string().max(128), principal: z.string().max(2048), secretAccessKey: bytes({ max: 128 }) },
  output: { token },
});

/** Symmetric: a ciphertext blob bound to key and encryption context. RSA: the raw OAEP ciphertext. */
export const Encrypt = defineCommand(10, 'Encrypt', {
  input: { ...key, algorithm, encryptionContext, plaintext: bytes() },
  output: { ciphertext: bytes() },
});

export const Decrypt = defineCommand(11, 'Decrypt', {
  input: { ...key, algorithm, encryptionContext, ciphertext: bytes() },
  output: { plaintext: secret },
});

/** Decrypts and encrypts in one step, so that the plaintext never leaves the HSM. */
export const ReEncrypt = defineCommand(12, 'ReEncrypt', {
  input: {
    sourceKeyId: keyId,
    sourceAccount: key.account,
    sourceToken: token,
    sourceAlgorithm: algorithm,
    sourceContext: encryptionContext,
    ciphertext: bytes(),
    destinationKeyId: keyId,
    destinationAccount: key.account,
    destinationToken: token,
    destinationAlgorithm: algorithm,
    destinationContext: encryptionContext,
  },
  output: { ciphertext: bytes() },
});

/** `plaintext` is present only if requested. */
export const GenerateDataKey = defineCommand(13, 'GenerateDataKey', {
  input: { ...key, encryptionContext, length: z.int().min(1).max(1024), withPlaintext: z.boolean() },
  output: { ciphertext: bytes(), plaintext: optionalSecret },
});

/**
 * `publicKey`: DER SubjectPublicKeyInfo; `privateKey`: DER PKCS #8, present only if requested; `ciphertext` holds the
 * PKCS #8.
 */
export const GenerateDataKeyPair = defineCommand(14, 'GenerateDataKeyPair', {
  input: { ...key, encryptionContext, keyPairSpec: KeySpecName, withPlaintext: z.boolean() },
  output: { ciphertext: bytes(), publicKey: bytes(), privateKey: optionalSecret },
});

export const GenerateRandom = defineCommand(15, 'GenerateRandom', {
  input: { length: randomLength },
  output: { bytes: secret },
});

export const Sign = defineCommand(20, 'Sign', {
  input: { ...key, algorithm, messageType, message: bytes() },
  output: { signature: bytes() },
});

export const Verify = defineCommand(21, 'Verify', {
  input: { ...key, algorithm, messageType, message: bytes(), signature: bytes() },
  output: { valid: z.boolean() },
});

export const GenerateMac = defineCommand(22, 'GenerateMac', {
  input: { ...key, algorithm, message: bytes() },
  output: { mac: bytes() },
});

export const VerifyMac = defineCommand(23, 'VerifyMac', {
  input: { ...key, algorithm, message: bytes(), mac: bytes() },
  output: { valid: z.boolean() },
});

/** Returns the raw x-coordinate of the ECDH point; `publicKey` is the peer's DER SubjectPublicKeyInfo. */
export const DeriveSharedSecret = defineCommand(24, 'DeriveSharedSecret', {
  input: { ...key, publicKey: bytes() },
  output: { sharedSecret: secret },
});

export const Encapsulate = defineCommand(25, 'Encapsulate', {
  input: key,
  output: { sharedSecret: secret, ciphertext: bytes() },
});

export const Decapsulate = defineCommand(26, 'Decapsulate', {
  input: { ...key, ciphertext: bytes() },
  output: { sharedSecret: secret },
});

/** Forgets at once a backing key that the HSM may hold opened in memory: the key was disabled, deleted or re-keyed. */
export const EvictBackingKey = defineCommand(30, 'EvictBackingKey', {
  input: { materialId },
  output: {},
});

/** Larger than any blob in the API. */
const blob = bytes({ max: 16_384 });
const associatedData = bytes({ max: 1024 });

/**
 * Checks whether a key store can be created in a cluster. `trustAnchor`: DER; refuses with `incorrect-trust-anchor` if
 * it is not the cluster's.
 */
export const CheckCluster = defineCommand(31, 'CheckCluster', {
  input: { ...cluster, trustAnchor: bytes({ max: 8192 }) },
  output: {},
});

/** Logs in to a cluster's token. */
export const ConnectCluster = defineCommand(32, 'ConnectCluster', { input: loggedIn, output: {} });

/** Makes the AES-256 key of a KMS key in the token, from which nothing can extract it. An existing key is kept. */
export const GenerateClusterKey = defineCommand(33, 'GenerateClusterKey', {
  signed: true,
  input: { ...loggedIn, keyId },
  output: {},
});

/**
 * Encrypts the output of an HSM a second time, in the token: AES-GCM. Refuses with `no-cluster-key` if the key does not
 * exist.
 */
export const EncryptInCluster = defineCommand(34, 'EncryptInCluster', {
  input: { ...loggedIn, keyId, associatedData, plaintext: blob },
  output: { iv: bytes(), ciphertext: bytes(), tag: bytes() },
});

export const DecryptInCluster = defineCommand(35, 'DecryptInCluster', {
  input: {
    ...loggedIn,
    keyId,
    associatedData,
    iv: bytes({ min: 12, max: 12 }),
    ciphertext: blob,
    tag: bytes({ min: 16, max: 16 }),
  },
  output: { plaintext: bytes() },
});

/** Erases the key in the token. */
export const DestroyClusterKey = defineCommand(36, 'DestroyClusterKey', {
  signed: true,
  input: { ...loggedIn, keyId },
  output: {},
});

/** Random bytes from the token mixed with the HSM's own, so that neither alone knows them. */
export const GenerateRandomInCluster = defineCommand(37, 'GenerateRandomInCluster', {
  input: { ...loggedIn, length: randomLength },
  output: { bytes: secret },
});

/** Logs out of a cluster's token. Whoever uses it at that moment is refused with `cluster-away`. */
export const DisconnectCluster = defineCommand(38, 'DisconnectCluster', { input: cluster, output: {} });

/**
 * As DescribeBackingKey, of a new key: before it is stored, a member other than its maker runs this. Refuses with
 * `cannot-open` unless the material is what an honest member seals: a key pair is computed, which takes as long as to
 * make an RSA key, and its encoding is the one of docs/formats.md. A command of its own, so that a member of an earlier
 * release, which would only try the key, refuses it.
 */
export const CheckBackingKey = defineCommand(39, 'CheckBackingKey', { input: key, output: description });

/** The complete list of commands. */
export const commands = {
  GenerateBackingKey,
  ResealToken,
  GenerateCredential,
  OpenCredential,
  CheckToken,
  DescribeBackingKey,
  CheckBackingKey,
  GenerateImportKey,
  ImportBackingKey,
  SealCredential,
  Encrypt,
  Decrypt,
  ReEncrypt,
  GenerateDataKey,
  GenerateDataKeyPair,
  GenerateRandom,
  Sign,
  Verify,
  GenerateMac,
  VerifyMac,
  DeriveSharedSecret,
  Encapsulate,
  Decapsulate,
  EvictBackingKey,
  CheckCluster,
  ConnectCluster,
  GenerateClusterKey,
  EncryptInCluster,
  DecryptInCluster,
  DestroyClusterKey,
  GenerateRandomInCluster,
  DisconnectCluster,
  ...forRecipient,
} as const;

export type CommandName = keyof typeof commands;
export type InputOf<N extends CommandName> = CommandInput<(typeof commands)[N]>;
export type OutputOf<N extends CommandName> = CommandOutput<(typeof commands)[N]>;
