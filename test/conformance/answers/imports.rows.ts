import { error, type Row } from './row.ts';

const token = 'dG9rZW4=';
const material = 'bWF0ZXJpYWw=';
const id = 'a'.repeat(64);
const forEver = { ExpirationModel: 'KEY_MATERIAL_DOES_NOT_EXPIRE' };

const importRow = (title: string, given: object, answer: Row['answer']): Row => ({
  title,
  operation: 'ImportKeyMaterial',
  body: ({ X }) => ({ KeyId: X.id, ImportToken: token, EncryptedKeyMaterial: material, ...forEver, ...given }),
  answer,
});

/** Imported material, up to where it is unwrapped. */
export const importRows: readonly Row[] = [
  {
    title: 'ListKeyRotations of X: a key without material has none (C)',
    operation: 'ListKeyRotations',
    body: ({ X }) => ({ KeyId: X.id, IncludeKeyMaterial: 'ALL_KEY_MATERIAL' }),
    answer: () => ({ Rotations: [], Truncated: false }),
    status: 200,
  },
  {
    title: 'DeleteImportedKeyMaterial of X: nothing is deleted, and nothing said of it (C)',
    operation: 'DeleteImportedKeyMaterial',
    body: ({ X }) => ({ KeyId: X.id }),
    answer: ({ X }) => ({ KeyId: X.arn }),
    status: 200,
  },
  {
    title: 'DeleteImportedKeyMaterial of material that the key never had (decided)',
    operation: 'DeleteImportedKeyMaterial',
    body: ({ X }) => ({ KeyId: X.id, KeyMaterialId: id }),
    answer: ({ X }) => error('NotFoundException', `Key material (id: ${id}) does not exist in KMS key ${X.arn}.`),
  },
  {
    title: 'ImportKeyMaterial into S: the origin is refused (A)',
    operation: 'ImportKeyMaterial',
    body: ({ S }) => ({ KeyId: S.id, ImportToken: token, EncryptedKeyMaterial: material, ...forEver }),
    answer: ({ S }) =>
      error('UnsupportedOperationException', `${S.arn} origin is AWS_KMS which is not valid for this operation.`),
  },
  importRow('material expires unless it is said not to, and needs a date (A)', { ExpirationModel: undefined }, () =>
    error('ValidationException', 'A validTo date must be set if the ExpirationModel is KEY_MATERIAL_EXPIRES'),
  ),
  importRow('new material is not named (A: the rule; decided: the text)', { KeyMaterialId: id }, () =>
    error('ValidationException', 'KeyMaterialId is not valid for ImportType NEW_KEY_MATERIAL.'),
  ),
  importRow('X has no existing material (A: the exception)', { ImportType: 'EXISTING_KEY_MATERIAL' }, () =>
    error('IncorrectKeyMaterialException'),
  ),
  importRow('a token that is none (A: the exception)', { ImportType: 'NEW_KEY_MATERIAL' }, () =>
    error('InvalidImportTokenException'),
  ),
];
