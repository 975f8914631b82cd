import { FormatError } from '@keyfleet/shared/encoding/bytes';
import { constraints, validationException, violation } from '@keyfleet/shared/errors/aws-messages';
import { KmsException } from '@keyfleet/shared/errors/exceptions';
import { type BlobHeader, parseBlobHeader } from '@keyfleet/shared/hsm/ciphertext-blob';

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
