import { KmsException } from '@keyfleet/shared/errors/exceptions';
import type { KmsKey } from './kms-key.ts';
import { isPendingDeletion } from './key-states.ts';
import { DAY_MS } from './key-rotation.ts';

const MAX_DAYS = 365;

/** Throws UnsupportedOperationException for a key whose material is not imported. */
export function assertImportedOrigin({ arn, origin }: Pick<KmsKey, 'arn' | 'origin'>): void {
  if (origin === 'EXTERNAL') return;
  throw unsupported(`${arn} origin is ${origin} which is not valid for this operation.`);
}

export interface ExpirationInput {
  readonly ExpirationModel: string;
  readonly ValidTo?: number | undefined;
}

/** Throws ValidationException. The first text is AWS's; the others say the same of its documented rules. */
export function assertExpiration({ ExpirationModel: model, ValidTo: validTo }: ExpirationInput, now: number): void {
  if (model !== 'KEY_MATERIAL_EXPIRES') {
    if (validTo === undefined) return;
    throw invalid(`A validTo date must not be set if the ExpirationModel is ${model}`);
  }
  if (validTo === undefined) throw invalid(`A validTo date must be set if the ExpirationModel is ${model}`);
  if (validTo > now && validTo <= now + MAX_DAYS * DAY_MS) return;
  throw invalid(`A validTo date must be in the future, and at most ${MAX_DAYS} days from now`);
}

export interface ImportTypeInput {
  readonly ImportType?: string | undefined;
  readonly KeyMaterialId?: string | undefined;
  readonly KeyMaterialDescription?: string | undefined;
}

/** What can be said before the material is unwrapped: a key takes one material and, from then on, no other. */
export function assertImportType(input: ImportTypeInput, { arn, keySpec, imported }: KmsKey): void {
  const { ImportType: type, KeyMaterialId: materialId, KeyMaterialDescription: description } = input;
  const isNamed = type !== undefined || materialId !== undefined || description !== undefined;
  if (isNamed && keySpec !== 'SYMMETRIC_DEFAULT') {
    throw invalid(`ImportType, KeyMaterialId and KeyMaterialDescription are not valid for key spec ${keySpec}.`);
  }
  if ((type ?? 'NEW_KEY_MATERIAL') === 'NEW_KEY_MATERIAL' && materialId !== undefined && imported === undefined) {
    throw invalid('KeyMaterialId is not valid for ImportType NEW_KEY_MATERIAL.');
  }
  if (type === 'NEW_KEY_MATERIAL' && imported !== undefined) {
    throw unsupported(`${arn} has key material. Rotation to imported key material is not in this release of Keyfleet.`);
  }
  if (type === 'EXISTING_KEY_MATERIAL' && imported === undefined) throw incorrectMaterial();
  if (materialId !== undefined && materialId !== imported?.materialId) throw incorrectMaterial();
}

/** Throws NotFoundException for an id that the key never had. */
export function assertImportedMaterial(materialId: string | undefined, { arn, imported }: KmsKey): void {
  if (materialId === undefined || materialId === imported?.materialId) return;
  throw new KmsException('NotFoundException', `Key material (id: ${materialId}) does not exist in KMS key ${arn}.`);
}

/** Of what was to be imported: AWS says it of the wrong material and of material that is none. */
export function incorrectMaterial(cause?: unknown): KmsException {
  return new KmsException('IncorrectKeyMaterialException', '', { cause });
}

/** The key without its imported material, of which it keeps the name: it takes no other. */
export function withoutMaterial(key: KmsKey): KmsKey {
  const { imported } = key;
  return {
    ...key,
    state: isPendingDeletion(key) ? key.state : 'PendingImport',
    backingKeys: [],
    imported: imported && { ...imported, validTo: undefined },
  };
}

function invalid(message: string): KmsException {
  return new KmsException('ValidationException', message);
}

function unsupported(message: string): KmsException {
  return new KmsException('UnsupportedOperationException', message);
}
