import type { DeleteImportedKeyMaterial, GetParametersForImport, ImportKeyMaterial } from '@keyfleet/shared/api/import';
import { KmsException } from '@keyfleet/shared/errors/exceptions';
import type { OutputOf as Made } from '@keyfleet/shared/hsm/commands';
import { HsmRefusedError } from '../hsm/commands.ts';
import { evictBackingKeys } from '../keys/backing-keys.ts';
import { incorrectMaterial, withoutMaterial } from '../keys/import.ts';
import { wrappingOf } from '../keys/wrapping.ts';
import { stateAt } from '../keys/key-states.ts';
import type { ImportedMaterial, KmsKey } from '../keys/kms-key.ts';
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

type ImportKeyMaterialDeps = Pick<Deps, 'keys' | 'hsm' | 'clock'>;

export const importKeyMaterial: Handler<typeof ImportKeyMaterial, ImportKeyMaterialDeps> = async (
  input,
  { key, deadline },
  { keys, hsm, clock },
) => {
  const sent = { importToken: input.ImportToken, encryptedMaterial: input.EncryptedKeyMaterial };
  const made = await unwrapped(hsm.execute('ImportBackingKey', { ...importKeyOf(key), ...sent }, deadline));
  const materialId = Buffer.from(made.materialId).toString('hex');
  if (key.imported && key.imported.materialId !== materialId) throw incorrectMaterial();
  const imported = {
    materialId,
    description: input.KeyMaterialDescription ?? key.imported?.description,
    validTo: input.ValidTo,
  };
  await keys.updateKey(withMaterial(key, { made, imported, now: clock.now() }));
  return { KeyId: key.arn, KeyMaterialId: materialId };
};

export const deleteImportedKeyMaterial: Handler<typeof DeleteImportedKeyMaterial, Pick<Deps, 'keys' | 'hsm'>> = async (
  _input,
  { key, deadline },
  { keys, hsm },
) => {
  if (key.backingKeys.length > 0) await keys.updateKey(withoutMaterial(key));
  await evictBackingKeys(key, { hsm, deadline });
  return { KeyId: key.arn, ...(key.imported && { KeyMaterialId: key.imported.materialId }) };
};

/** What an import token is bound to. */
function importKeyOf({ keyId, accountId, region, keySpec, keyUsage }: KmsKey) {
  return { keyId, account: accountId, region, keySpec, keyUsage };
}

interface Given {
  readonly made: Made<'ImportBackingKey'>;
  readonly imported: ImportedMaterial;
  readonly now: number;
}

/** A key that waited for its material is enabled; one that had it stays as it is. */
function withMaterial(key: KmsKey, { made: { token, publicKey }, imported, now }: Given): KmsKey {
  const { materialId } = imported;
  return {
    ...key,
    state: stateAt(key, now) === 'PendingImport' ? 'Enabled' : key.state,
    backingKeys: [{ materialId, token, ...(publicKey && { publicKey }), createdAt: now }],
    imported,
  };
}

/** AWS's names for what an HSM refuses. None says what was wrong with a ciphertext. */
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
