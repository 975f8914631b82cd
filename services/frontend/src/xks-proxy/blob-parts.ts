import { hash } from 'node:crypto';
import { blobLayout, blobPrefixOf } from '@keyfleet/shared/hsm/ciphertext-blob';
import type { KmsKey } from '../keys/kms-key.ts';
import type { ExternalCiphertext } from '../xks/wire.ts';

/**
 * A ciphertext blob in the parts of a proxy's answer. The version and the key id are left out. Four bytes name the
 * key material; they are in the metadata, with N:
 *
 *   metadata = first 4 bytes of the key material id | N 16
 */
const MATERIAL_NAME = 4;

export function partsOf(blob: Buffer): ExternalCiphertext {
  const { materialId, nonce, iv, ciphertext, tagLength } = blobLayout;
  return {
    metadata: Buffer.concat([blob.subarray(materialId, materialId + MATERIAL_NAME), blob.subarray(nonce, iv)]),
    iv: blob.subarray(iv, ciphertext),
    ciphertext: blob.subarray(ciphertext, -tagLength),
    tag: blob.subarray(-tagLength),
  };
}

/** Undefined if the key has no such material. */
export function blobOf(
  { keyId, backingKeys }: Pick<KmsKey, 'keyId' | 'backingKeys'>,
  { metadata, iv, ciphertext, tag }: ExternalCiphertext,
): Buffer | undefined {
  if (metadata.length !== MATERIAL_NAME + blobLayout.iv - blobLayout.nonce) return undefined;
  const name = Buffer.from(metadata.subarray(0, MATERIAL_NAME)).toString('hex');
  const named = backingKeys.find(({ materialId }) => materialId.startsWith(name));
  if (named === undefined) return undefined;
  const prefix = blobPrefixOf({ keyId, materialId: Buffer.from(named.materialId, 'hex') });
  return Buffer.concat([prefix, metadata.subarray(MATERIAL_NAME), iv, ciphertext, tag]);
}

/**
 * Binds a ciphertext to its associated data, by digest, because the data may be long and would be in the audit log. No
 * data counts as empty data.
 */
export function contextOf(associatedData: Uint8Array | undefined): Record<string, string> {
  if (associatedData === undefined || associatedData.length === 0) return {};
  return { 'kms-xks-proxy:additional-authenticated-data-sha256': hash('sha256', associatedData, 'base64') };
}
