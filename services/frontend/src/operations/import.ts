import type { DeleteImportedKeyMaterial, GetParametersForImport, ImportKeyMaterial } from '@keyfleet/shared/api/import';
import { KmsException } from '@keyfleet/shared/errors/exceptions';
import { HsmRefusedError } from '../hsm/commands.ts';
import { currentMaterialOf, evictBackingKeys } from '../keys/backing-keys.ts';
import { assertExpectedMaterial, incorrectMaterial, withMaterial, withoutMaterial } from '../keys/import.ts';
import { wrappingOf } from '../keys/wrapping.ts';
import type { KmsKey } from '../keys/kms-key.ts';
import { assertMayBeEnabled, changeMaterials } from '../multi-region/spread.ts';
import { invalidCiphertext } from './ciphertexts.ts';
import type { Deps, Handler } from './handler.ts';

export const getParametersForImport: Handler<typeof GetParametersForImport, Pick<Deps, 'hsm'>> = async (
  input,
  { key, deadline },
  { hsm },
) => {
  const wanted = { ...importKeyOf(key), ...wrappingOf(input, key) };
  const { importToken, publicKey, validTo } = await hsm.execute('GenerateImportKey', wanted, deadline);
  return { KeyId: key.arn, ImportToken: importToken, PublicKey: publicKey, ParametersValidTo: validTo };
};

type ImportKeyMaterialDeps = Pick<Deps, 'keys' | 'hsm' | 'clock' | 'serviceEvents'>;

export const importKeyMaterial: Handler<typeof ImportKeyMaterial, ImportKeyMaterialDeps> = async (
  input,
  { key, deadline },
  deps,
) => {
  assertMayBeEnabled(key);
  const sent = { importToken: input.ImportToken, encryptedMaterial: input.EncryptedKeyMaterial };
  const made = await unwrapped(deps.hsm.execute('ImportBackingKey', { ...importKeyOf(key), ...sent }, deadline));
  const materialId = Buffer.from(made.materialId).toString('hex');
  assertExpectedMaterial(input, key, materialId);
  const { token, publicKey } = made;
  const given = { description: input.KeyMaterialDescription, validTo: input.ValidTo };
  const changed = withMaterial(key, { materialId, token, publicKey, ...given }, deps.clock.now());
  await changeMaterials(key, changed, { ...deps, deadline });
  return { KeyId: key.arn, KeyMaterialId: materialId };
};

/** Without a KeyMaterialId, the current one of several materials. */
export const deleteImportedKeyMaterial: Handler<typeof DeleteImportedKeyMaterial, ImportKeyMaterialDeps> = async (
  { KeyMaterialId: named },
  { key, deadline },
  deps,
) => {
  const materialId = named ?? currentMaterialOf(key)?.materialId;
  if (materialId === undefined) return { KeyId: key.arn };
  const changed = withoutMaterial(key, materialId);
  if (changed !== key) await changeMaterials(key, changed, { ...deps, deadline });
  const backingKeys = key.backingKeys.filter((one) => one.materialId === materialId);
  await evictBackingKeys({ backingKeys }, { ...deps, deadline });
  return { KeyId: key.arn, KeyMaterialId: materialId };
};

/** The key data that an import token is bound to. */
function importKeyOf({ keyId, accountId, region, keySpec, keyUsage }: KmsKey) {
  return { keyId, account: accountId, region, keySpec, keyUsage };
}

/** Maps an HSM's refusals to AWS's exceptions. None says what was wrong with a ciphertext. */
async function unwrapped<T>(answer: Promise<T>): Promise<T> {
  try {
    return await answer;
  } catch (error) {
    throw error instanceof HsmRefusedError ? exceptionOf(error) : error;
  }
}

function exceptionOf(error: HsmRefusedError): Error {
  switch (error.refusal) {
    case 'invalid-import-token':
      return new KmsException('InvalidImportTokenException', '', { cause: error });
    case 'expired-import-token':
      return new KmsException('ExpiredImportTokenException', '', { cause: error });
    case 'cannot-open':
      return invalidCiphertext(error);
    case 'incorrect-material':
      return incorrectMaterial(error);
    default:
      return error;
  }
}
