import type { ImportKeyMaterialCommandOutput, KMS } from '@aws-sdk/client-kms';
import type { WrappingAlgorithm, WrappingKeySpec } from '@keyfleet/shared/algorithms';
import { wrapMaterial } from '@keyfleet/shared/wrap-material';

export interface Wrapping {
  readonly algorithm: WrappingAlgorithm;
  readonly keySpec: WrappingKeySpec;
}

/** Accepts material of any kind. */
export const defaultWrapping: Wrapping = { algorithm: 'RSA_AES_KEY_WRAP_SHA_256', keySpec: 'RSA_4096' };

interface Given {
  readonly KeyId: string;
  readonly material: Uint8Array;
  /** Undefined: it does not expire. */
  readonly validTo?: Date | undefined;
  /** For a rotation; undefined: the key's first material, or one that it already knows. */
  readonly isNew?: boolean | undefined;
  /** Which of the key's materials it must be. */
  readonly materialId?: string | undefined;
  readonly description?: string | undefined;
}

/** The whole exchange: wrapping key, token, wrapped material. */
export async function importMaterial(
  kms: KMS,
  { KeyId, material, validTo, isNew, materialId, description }: Given,
  { algorithm, keySpec }: Wrapping = defaultWrapping,
): Promise<ImportKeyMaterialCommandOutput> {
  const { ImportToken, PublicKey } = await kms.getParametersForImport({
    KeyId,
    WrappingAlgorithm: algorithm,
    WrappingKeySpec: keySpec,
  });
  return kms.importKeyMaterial({
    KeyId,
    ImportToken,
    EncryptedKeyMaterial: wrapMaterial(algorithm, PublicKey!, material),
    ...(validTo === undefined
      ? { ExpirationModel: 'KEY_MATERIAL_DOES_NOT_EXPIRE' }
      : { ExpirationModel: 'KEY_MATERIAL_EXPIRES', ValidTo: validTo }),
    ImportType: isNew ? 'NEW_KEY_MATERIAL' : undefined,
    KeyMaterialId: materialId,
    KeyMaterialDescription: description,
  });
}
