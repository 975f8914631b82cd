import { FormatError, Reader } from '@keyfleet/shared/encoding/bytes';
import { blobVersions, parseBlobHeader } from '@keyfleet/shared/hsm/ciphertext-blob';
import { type ExternalCiphertext, MAX_METADATA, TAG_LENGTH } from './wire.ts';

/**
 * The ciphertext blob of a key in an external key store: an HSM's ciphertext, encrypted a second time under the
 * external key (docs/formats.md).
 *
 * version 2 | key id kind 1 | key id 16 | key material id 32 | IV length 1 | IV | metadata length 1 | metadata |
 * ciphertext | tag 16
 */
export interface ExternalBlob extends ExternalCiphertext {
  /** The first four members: what the external key authenticates along with the ciphertext. */
  readonly associatedData: Buffer;
}

const HEADER = 50;

/** For a blob made by an HSM: it names the same key and material. */
export function associatedDataOf(inner: Uint8Array): Buffer {
  return Buffer.concat([Buffer.of(blobVersions.external), inner.subarray(1, HEADER)]);
}

export function joinExternalBlob({ associatedData, iv, metadata, ciphertext, tag }: ExternalBlob): Buffer {
  const lengths = [Buffer.of(iv.length), Buffer.of(metadata.length)] as const;
  return Buffer.concat([associatedData, lengths[0], iv, lengths[1], metadata, ciphertext, tag]);
}

/** Throws `FormatError` for anything that is not such a blob, including one that only an HSM encrypted. */
export function parseExternalBlob(blob: Uint8Array): ExternalBlob {
  parseBlobHeader(blob);
  const reader = new Reader(blob);
  const associatedData = reader.raw(HEADER);
  const iv = reader.raw(reader.raw(1)[0]!);
  const metadata = reader.raw(reader.raw(1)[0]!);
  const rest = reader.raw(blob.length - HEADER - iv.length - metadata.length - 2);
  const isWhole = rest.length > TAG_LENGTH && metadata.length <= MAX_METADATA && (iv.length === 12 || iv.length === 16);
  if (associatedData[0] !== blobVersions.external || !isWhole)
    throw new FormatError('not a blob of an external key store');
  return { associatedData, iv, metadata, ciphertext: rest.subarray(0, -TAG_LENGTH), tag: rest.subarray(-TAG_LENGTH) };
}
