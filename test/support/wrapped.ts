import type { KMS } from '@aws-sdk/client-kms';
import type { WrappingAlgorithm, WrappingKeySpec } from '@keyfleet/shared/algorithms';
import { wrapMaterial } from '@keyfleet/shared/wrap-material';

export interface Wrapping {
  readonly WrappingAlgorithm: WrappingAlgorithm;
  readonly WrappingKeySpec: WrappingKeySpec;
}

/** Takes material of any kind. */
export const anyMaterial: Wrapping = { WrappingAlgorithm: 'RSA_AES_KEY_WRAP_SHA_256', WrappingKeySpec: 'RSA_2048' };

/** What ImportKeyMaterial needs of `material`, wrapped as whoever brings a key of their own does. */
export async function wrapped(kms: KMS, KeyId: string, material: Uint8Array, wrapping = anyMaterial) {
  const { ImportToken, PublicKey } = await kms.getParametersForImport({ KeyId, ...wrapping });
  return { ImportToken, EncryptedKeyMaterial: wrapMaterial(wrapping.WrappingAlgorithm, PublicKey!, material) };
}
