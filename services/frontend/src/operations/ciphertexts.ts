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

/** The context to bind a ciphertext to. Throws ValidationException for one that the algorithm has no place for. */
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
 * Throws IncorrectKeyException if the caller named a key that is no encryption key at all, or not the one that a blob
 * names. AWS says so before it says anything of the key's usage, state or algorithms.
 */
export function assertOpens(key: KmsKey, ciphertext: Uint8Array | undefined, algorithm: string): void {
  if (key.keyUsage !== 'ENCRYPT_DECRYPT') throw incorrectKey();
  // An RSA ciphertext names no key.
  if (ciphertext === undefined || algorithm !== 'SYMMETRIC_DEFAULT') return;
  const header = findBlobHeader(ciphertext);
  if (header && header.keyId !== key.keyId) throw incorrectKey();
}

/** The material of `key` that opens `ciphertext`. */
export function openingKeyOf(key: KmsKey, ciphertext: Uint8Array): HeldKey {
  if (key.keySpec !== 'SYMMETRIC_DEFAULT') return currentBackingKey(key);
  const header = blobHeaderOf(ciphertext);
  if (header.keyId !== key.keyId) throw incorrectKey();
  // Of what only an HSM encrypted the key's store was never asked: it knows it, and must not be left out.
  if (header.version !== blobVersionOf(key)) throw invalidCiphertext();
  const backingKey = findBackingKey(key, header.materialId.toString('hex'));
  if (!backingKey) throw invalidCiphertext();
  return backingKey;
}

function blobVersionOf({ xksKeyId, clusterId }: KmsKey): number {
  if (xksKeyId !== undefined) return blobVersions.external;
  return clusterId === undefined ? blobVersions.hsm : blobVersions.cluster;
}

/**
 * Waits for an HSM's answer; whatever did not open gives the one opaque error. Of a key in an external key store AWS
 * has another.
 */
export async function opened<T>(answer: Promise<T>, { xksKeyId }: KmsKey): Promise<T> {
  try {
    return await answer;
  } catch (error) {
    if (!(error instanceof HsmRefusedError) || error.refusal !== 'cannot-open') throw error;
    throw xksKeyId === undefined ? invalidCiphertext(error) : new XksError('ciphertext-wrong').toldBy('Decrypt');
  }
}

/** Whether answers name the key material: that of a custom key store is none of KMS's. */
export function tellsMaterial({ keySpec, customKeyStoreId }: KmsKey): boolean {
  return keySpec === 'SYMMETRIC_DEFAULT' && customKeyStoreId === undefined;
}

/** What the proxy of an external key store is told of the call that it serves. */
export function useOf({ requestId, caller, deadline }: Call, operation: string): UseOf {
  return { operation, requestId, principal: caller.arn, deadline };
}

function incorrectKey(): KmsException {
  return new KmsException(
    'IncorrectKeyException',
    'The key ID in the request does not identify a CMK that can perform this operation.',
  );
}

const hashBytes: Readonly<Record<string, number>> = { RSAES_OAEP_SHA_1: 20, RSAES_OAEP_SHA_256: 32 };

/** Throws ValidationException for more than the algorithm can take. */
export function assertFits(plaintext: Uint8Array, algorithm: string, keySpec: KeySpec): void {
  if (plaintext.length > capacityOf(algorithm, keySpec)) throw doesNotFit(algorithm, keySpec);
}

export function doesNotFit(algorithm: string, keySpec: KeySpec, cause?: unknown): KmsException {
  const most = capacityOf(algorithm, keySpec);
  const message = `Algorithm ${algorithm} and key spec ${keySpec} cannot encrypt data larger than ${most} bytes.`;
  return new KmsException('ValidationException', message, { cause });
}

/**
 * Of RSA-OAEP: modulus - 2 hash - 2 bytes (RFC 8017, 7.1.1). Symmetric encryption takes whatever a request can hold.
 */
export function capacityOf(algorithm: string, keySpec: KeySpec): number {
  const hash = hashBytes[algorithm];
  if (hash === undefined) return Infinity;
  const { bits = 0 }: KeySpecRow = keySpecs[keySpec];
  return bits / 8 - 2 * hash - 2;
}

/** AWS's model has it optional, for dry runs that have none. */
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

/** Undefined for what is no ciphertext blob. */
export function findBlobHeader(ciphertext: Uint8Array): BlobHeader | undefined {
  try {
    return parseBlobHeader(ciphertext);
  } catch (error) {
    if (error instanceof FormatError) return undefined;
    throw error;
  }
}

/** The one answer to everything that does not open. It never says why. */
export function invalidCiphertext(cause?: unknown): KmsException {
  return new KmsException('InvalidCiphertextException', '', { cause });
}
