import { FormatError } from '../encoding/bytes.ts';
import { isKeyId, isMultiRegionKeyId } from '../ids.ts';

/**
 * The clear header of a ciphertext blob (docs/formats.md): enough to find the key, nothing secret. What it says is only
 * a claim until an HSM has opened the blob.
 *
 *   version 1 | key id kind 1 | key id 16 | key material id 32 | N 16 | IV 12 | ciphertext | tag 16
 */
export interface BlobHeader {
  /** A UUID with dashes, or `mrk-` and 32 hex digits. */
  readonly keyId: string;
  /** 32 bytes. */
  readonly materialId: Buffer;
  /** One of `blobVersions`. */
  readonly version: number;
}

/**
 * All versions begin alike. Those that a key in a custom key store encrypted a second time have their own layout after
 * the key material id.
 */
export const blobVersions = { hsm: 1, external: 2, cluster: 3 } as const;
const knownVersions: readonly number[] = Object.values(blobVersions);
const kinds = { uuid: 0, multiRegion: 1 } as const;

/** The offset of each part of a blob. */
export const blobLayout = { materialId: 18, nonce: 50, iv: 66, ciphertext: 78, tagLength: 16 } as const;

/** How many bytes longer a blob is than its plaintext. */
export const blobOverhead = blobLayout.ciphertext + blobLayout.tagLength;

/** The prefix common to all blobs under one backing key: everything before N. Throws `FormatError`. */
export function blobPrefixOf({ keyId, materialId }: { keyId: string; materialId: Uint8Array }): Buffer {
  if (!isKeyId(keyId) || materialId.length !== 32) throw new FormatError('not a key id or key material id');
  const kind = isMultiRegionKeyId(keyId) ? kinds.multiRegion : kinds.uuid;
  const id = Buffer.from(kind === kinds.multiRegion ? keyId.slice(4) : keyId.replaceAll('-', ''), 'hex');
  return Buffer.concat([Buffer.of(blobVersions.hsm, kind), id, materialId]);
}

/** Reads what a blob claims about its key. Throws `FormatError` if it cannot be a ciphertext blob. */
export function parseBlobHeader(blob: Uint8Array): BlobHeader {
  const bytes = Buffer.from(blob.buffer, blob.byteOffset, blob.byteLength);
  if (bytes.length < blobOverhead || !knownVersions.includes(bytes[0]!)) throw new FormatError('not a ciphertext blob');
  return {
    keyId: keyIdOf(bytes[1]!, bytes.toString('hex', 2, blobLayout.materialId)),
    materialId: bytes.subarray(blobLayout.materialId, blobLayout.nonce),
    version: bytes[0]!,
  };
}

function keyIdOf(kind: number, hex: string): string {
  switch (kind) {
    case kinds.uuid:
      return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
    case kinds.multiRegion:
      return `mrk-${hex}`;
    default:
      throw new FormatError('not a ciphertext blob');
  }
}
