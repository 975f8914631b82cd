import { constants, createPublicKey, publicEncrypt } from 'node:crypto';
import type { KMS } from '@aws-sdk/client-kms';

/** What ImportKeyMaterial needs of `material`, wrapped as whoever brings a key of their own does. */
export async function wrapped(kms: KMS, KeyId: string, material: Uint8Array) {
  const parameters = { WrappingAlgorithm: 'RSAES_OAEP_SHA_256', WrappingKeySpec: 'RSA_2048' } as const;
  const { ImportToken, PublicKey } = await kms.getParametersForImport({ KeyId, ...parameters });
  return { ImportToken, EncryptedKeyMaterial: oaep(PublicKey!, material) };
}

/** RSAES_OAEP_SHA_256. */
export function oaep(publicKey: Uint8Array, material: Uint8Array): Buffer {
  const key = createPublicKey({ key: Buffer.from(publicKey), format: 'der', type: 'spki' });
  return publicEncrypt({ key, padding: constants.RSA_PKCS1_OAEP_PADDING, oaepHash: 'sha256' }, material);
}
