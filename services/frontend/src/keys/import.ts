import { KmsException } from '@keyfleet/shared/errors/exceptions';
import { isHeld, lacksMaterial } from './backing-keys.ts';
import { DAY_MS } from './key-rotation.ts';
import { isPendingDeletion, stateAt } from './key-states.ts';
import { type BackingKey, type HeldKey, type KmsKey, multiRegionTypeOf } from './kms-key.ts';
import { assertNoReplica } from './multi-region.ts';

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

/**
 * Throws ValidationException. The first text is AWS's; the others state its other documented rules in the same style.
 */
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

/**
 * Checks what is known before the material is unwrapped. For a multi-Region key, only the primary takes new material
 * and its description.
 */
export function assertImportType(input: ImportTypeInput, key: KmsKey): void {
  const { ImportType: type, KeyMaterialId: materialId, KeyMaterialDescription: description } = input;
  const isNamed = type !== undefined || materialId !== undefined || description !== undefined;
  if (isNamed && key.keySpec !== 'SYMMETRIC_DEFAULT') {
    throw invalid(`ImportType, KeyMaterialId and KeyMaterialDescription are not valid for key spec ${key.keySpec}.`);
  }
  const isNew = isNewMaterial(input, key);
  if (isNew && materialId !== undefined) throw invalid('KeyMaterialId is not valid for ImportType NEW_KEY_MATERIAL.');
  if (isNew || description !== undefined) assertNoReplica(key);
  if (!isNew && key.backingKeys.length === 0) throw incorrectMaterial();
  if (materialId !== undefined && findMaterial(key, materialId) === undefined) throw incorrectMaterial();
}

/** Checks the material once it is unwrapped and has its id. The text about material pending rotation is AWS's. */
export function assertExpectedMaterial(input: ImportTypeInput, key: KmsKey, materialId: string): void {
  const isKnown = findMaterial(key, materialId) !== undefined;
  if (isKnown === isNewMaterial(input, key)) throw incorrectMaterial();
  if (isKnown && (input.KeyMaterialId ?? materialId) !== materialId) throw incorrectMaterial();
  const waiting = key.backingKeys.find(({ pending }) => pending);
  if (isKnown || waiting === undefined) return;
  throw new KmsException(
    'KMSInvalidStateException',
    `New key material (id: ${materialId}) cannot be imported into KMS key ${key.arn}, because another key material (id: ${waiting.materialId}) is pending rotation.`,
  );
}

/**
 * A key's first material is new without saying so. After that, material without an ImportType is one that the key
 * knows.
 */
function isNewMaterial({ ImportType: type }: ImportTypeInput, { backingKeys }: KmsKey): boolean {
  return type === undefined ? backingKeys.length === 0 : type === 'NEW_KEY_MATERIAL';
}

/** Throws NotFoundException for an id that the key never had. */
export function assertImportedMaterial(materialId: string | undefined, key: KmsKey): void {
  if (materialId === undefined || findMaterial(key, materialId) !== undefined) return;
  throw new KmsException('NotFoundException', `Key material (id: ${materialId}) does not exist in KMS key ${key.arn}.`);
}

function findMaterial({ backingKeys }: KmsKey, materialId: string): BackingKey | undefined {
  return backingKeys.find((backingKey) => backingKey.materialId === materialId);
}

/** AWS answers this for the wrong material and for anything that is not material. */
export function incorrectMaterial(cause?: unknown): KmsException {
  return new KmsException('IncorrectKeyMaterialException', '', { cause });
}

/**
 * The key with imported material added: one that it knows, its first, or one that waits for a rotation. A key that
 * waited only for this material is enabled; any other keeps its state.
 */
export function withMaterial(
  key: KmsKey,
  imported: Pick<HeldKey, 'materialId' | 'token' | 'publicKey' | 'description' | 'validTo'>,
  now: number,
): KmsKey {
  const { backingKeys } = key;
  const known = findMaterial(key, imported.materialId);
  const before: Omit<BackingKey, 'materialId'> =
    known ?? (backingKeys.length > 0 ? { createdAt: now, pending: true } : { createdAt: now });
  const material = { ...before, ...imported, description: imported.description ?? before.description };
  const changed = {
    ...key,
    backingKeys: known ? backingKeys.map((one) => (one === known ? material : one)) : [...backingKeys, material],
  };
  const isWhole = stateAt(key, now) === 'PendingImport' && !lacksMaterial(changed, now);
  return isWhole ? { ...changed, state: 'Enabled' } : changed;
}

/**
 * The key without this material, keeping its id so that it can be imported again. Returns the key itself if the
 * material is not here. Material that waits for a rotation is forgotten entirely, except by a replica, whose primary
 * waits for it.
 */
export function withoutMaterial(key: KmsKey, materialId: string): KmsKey {
  const material = findMaterial(key, materialId);
  if (material === undefined) return key;
  const { backingKeys } = key;
  if (material.pending && multiRegionTypeOf(key) !== 'REPLICA') {
    return { ...key, backingKeys: backingKeys.filter((one) => one !== material) };
  }
  if (!isHeld(material)) return key;
  const name = { ...material, token: undefined, publicKey: undefined, validTo: undefined };
  return {
    ...key,
    state: material.pending || isPendingDeletion(key) ? key.state : 'PendingImport',
    backingKeys: backingKeys.map((one) => (one === material ? name : one)),
  };
}

function invalid(message: string): KmsException {
  return new KmsException('ValidationException', message);
}

function unsupported(message: string): KmsException {
  return new KmsException('UnsupportedOperationException', message);
}
