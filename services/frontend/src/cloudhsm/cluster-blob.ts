import { FormatError, Reader } from '@keyfleet/shared/encoding/bytes';
import { blobLayout, blobVersions, parseBlobHeader } from '@keyfleet/shared/hsm/ciphertext-blob';

/**
 * The ciphertext blob of a key in a CloudHSM cluster: an HSM's ciphertext, encrypted a second time in the cluster's
 * token (docs/formats.md).
 *
 *   version 3 | key id kind 1 | key id 16 | key material id 32 | IV 12 | ciphertext | tag 16
 */
export interface ClusterBlob {
  /** The first four members: what the token authenticates along with the ciphertext. */
  readonly associatedData: Uint8Array;
  readonly iv: Uint8Array;
  readonly ciphertext: Uint8Array;
  readonly tag: Uint8Array;
}

const HEADER = blobLayout.nonce;
const [IV_LENGTH, TAG_LENGTH] = [12, 16];

/** For a blob made by an HSM: it names the same key and material. */
export function associatedDataOf(inner: Uint8Array): Buffer {
  return Buffer.concat([Buffer.of(blobVersions.cluster), inner.subarray(1, HEADER)]);
}

export function joinClusterBlob({ associatedData, iv, ciphertext, tag }: ClusterBlob): Buffer {
  return Buffer.concat([associatedData, iv, ciphertext, tag]);
}

/** Throws `FormatError` for anything that is not such a blob. */
export function parseClusterBlob(blob: Uint8Array): ClusterBlob {
  if (parseBlobHeader(blob).version !== blobVersions.cluster) throw new FormatError('not a blob of a cluster');
  const reader = new Reader(blob);
  const associatedData = reader.raw(HEADER);
  const iv = reader.raw(IV_LENGTH);
  const rest = reader.raw(blob.length - HEADER - IV_LENGTH);
  return { associatedData, iv, ciphertext: rest.subarray(0, -TAG_LENGTH), tag: rest.subarray(-TAG_LENGTH) };
}
