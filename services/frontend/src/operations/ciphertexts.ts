import { FormatError } from '@keyfleet/shared/encoding/bytes';
import { constraints, validationException, violation } from '@keyfleet/shared/errors/aws-messages';
import { KmsException } from '@keyfleet/shared/errors/exceptions';
import { type BlobHeader, blobVersions, parseBlobHeader } from '@keyfleet/shared/hsm/ciphertext-blob';
import { type KeySpec, type KeySpecRow, keySpecs } from '@keyfleet/shared/key-specs';
import { HsmRefusedError } from '../hsm/commands.ts';
import { currentBackingKey, findBackingKey } from '../keys/backing-keys.ts';
import type { HeldKey, KmsKey } from '../keys/kms-key.ts';
import type { UseOf } from '../key-stores/second-encryption.ts';
import { XksError } from '../xks/problems.ts';
import type { Call } from './handler.ts';

const none: Readonly<Record<string, string>> = Object.freeze({});

/** The context to bind a ciphertext to. Throws ValidationException if the algorithm does not take one. */
export function contextOf(
  context: Readonly<Record<string, string>> | undefined,
  algorithm: string,
): Record<string, string> {
  if (context === undefined) return none;
  if (algorithm !== 'SYMMETRIC_DEFAULT' && Object.keys(context).length > 0) {
    throw new KmsException(
      'ValidationException',
      'EncryptionContext is only supported with the SYMMETRIC_DEFAULT encryption algorithm.',
    );
  }
  return context;
}

/**
 * Throws IncorrectKeyException if the caller named a key that is not an encryption key at all, or not the one named by
 * the blob. AWS checks this before the key's usage, state and algorithms.
 */
export function assertOpens(key: KmsKey, ciphertext: Uint8Array | undefined, algorithm: string): void {
  if (key.keyUsage !== 'ENCRYPT_DECRYPT') throw incorrectKey();
  // An RSA ciphertext does not name a key.
  if (ciphertext === undefined || algorithm !== 'SYMMETRIC_DEFAULT') return;
  const header = findBlobHeader(ciphertext);
  if (header && header.keyId !== key.keyId) throw incorrectKey();
}

/** The material of `key` that opens `ciphertext` now. */
export function openingKeyOf(key: KmsKey, ciphertext: Uint8Array, now: number): HeldKey {
  if (key.keySpec !== 'SYMMETRIC_DEFAULT') return currentBackingKey(key);
  const header = blobHeaderOf(ciphertext);
  if (header.keyId !== key.keyId) throw incorrectKey();
  // If only an HSM encrypted it, the key's store was never involved. The store knows its own ciphertexts and must not
  // be bypassed.
  if (header.version !== blobVersionOf(key)) throw invalidCiphertext();
  const backingKey = findBackingKey(key, header.materialId.toString('hex'), now);
  if (!backingKey) throw invalidCiphertext();
  return backingKey;
}

function blobVersionOf({ xksKeyId, clusterId }: KmsKey): number {
  if (xksKeyId !== undefined) return blobVersions.external;
  return clusterId === undefined ? blobVersions.hsm : blobVersions.cluster;
}

/**
 * Waits for an HSM's answer; anything that did not open gives the one opaque error. For a key in an external key store
 * AWS has a different one.
 */
export async function opened<T>(answer: Promise<T>, { xksKeyId }: KmsKey): Promise<T> {
  try {
    return await answer;
  } catch (error) {
    if (!(error instanceof HsmRefusedError) || error.refusal !== 'cannot-open') throw error;
    throw xksKeyId === undefined ? invalidCiphertext(error) : new XksError('ciphertext-wrong').toldBy('Decrypt');
  }
}

/** Whether answers name the key material: that of a custom key store is not KMS's to name. */
export function tellsMaterial({ keySpec, customKeyStoreId }: KmsKey): boolean {
  return keySpec === 'SYMMETRIC_DEFAULT' && customKeyStoreId === undefined;
}

/** What an external key store's proxy is told about the call that it serves. */
export function useOf({ requestId, caller, deadline, recall }: Call, operation: string): UseOf {
  return { operation, requestId, principal: caller.arn, deadline, recall };
}

function incorrectKey(): KmsException {
  return new KmsException(
    'IncorrectKeyException',
    'The key ID in the request does not identify a CMK that can perform this operation.',
  );
}

const hashBytes: Readonly<Record<string, number>> = { RSAES_OAEP_SHA_1: 20, RSAES_OAEP_SHA_256: 32 };

/** Throws ValidationException if the plaintext is longer than the algorithm takes. */
export function assertFits(plaintext: Uint8Array, algorithm: string, keySpec: KeySpec): void {
  if (plaintext.length > capacityOf(algorithm, keySpec)) throw doesNotFit(algorithm, keySpec);
}

export function doesNotFit(algorithm: string, keySpec: KeySpec, cause?: unknown): KmsException {
  const most = capacityOf(algorithm, keySpec);
  const message = `Algorithm ${algorithm} and key spec ${keySpec} cannot encrypt data larger than ${most} bytes.`;
  return new KmsException('ValidationException', message, { cause });
}

/**
 * In bytes. RSA-OAEP takes modulus - 2 hash - 2 bytes (RFC 8017, 7.1.1). Symmetric encryption takes whatever fits into
 * a request.
 */
export function capacityOf(algorithm: string, keySpec: KeySpec): number {
  const hash = hashBytes[algorithm];
  if (hash === undefined) return Infinity;
  const { bits = 0 }: KeySpecRow = keySpecs[keySpec];
  return bits / 8 - 2 * hash - 2;
}

/** Optional in AWS's model, because some dry runs have none. */
export function requireCiphertext(ciphertext: Uint8Array | undefined): Uint8Array {
  if (ciphertext) return ciphertext;
  throw validationException([violation(null, 'ciphertextBlob', constraints.notNull)]);
}

/** What a ciphertext blob claims. Throws InvalidCiphertextException, which never says why. */
export function blobHeaderOf(ciphertext: Uint8Array): BlobHeader {
  const header = findBlobHeader(ciphertext);
  if (header) return header;
  throw invalidCiphertext();
}

/** Undefined for anything that is not a ciphertext blob. */
function findBlobHeader(ciphertext: Uint8Array): BlobHeader | undefined {
  try {
    return parseBlobHeader(ciphertext);
  } catch (error) {
    if (error instanceof FormatError) return undefined;
    throw error;
  }
}

/** The single answer to everything that does not open. It never says why. */
export function invalidCiphertext(cause?: unknown): KmsException {
  return new KmsException('InvalidCiphertextException', '', { cause });
}
