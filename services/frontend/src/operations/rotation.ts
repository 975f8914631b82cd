import type {
  DisableKeyRotation,
  EnableKeyRotation,
  GetKeyRotationStatus,
  ListKeyRotations,
  RotateKeyOnDemand,
} from '@keyfleet/shared/api/rotation';
import { currentMaterialOf, isHereAt } from '../keys/backing-keys.ts';
import type { BackingKey, KmsKey } from '../keys/kms-key.ts';
import { automaticRotationFrom } from '../keys/key-rotation.ts';
import { isPendingDeletion } from '../keys/key-states.ts';
import { isReadyForRotation } from '../multi-region/pending-rotation.ts';
import { rotate } from '../multi-region/rotate.ts';
import { changeShared } from '../multi-region/spread.ts';
import type { Deps, Handler } from './handler.ts';

const DEFAULT_LIMIT = 100;

type SharedChangeDeps = Pick<Deps, 'keys' | 'clock' | 'serviceEvents'>;

export const enableKeyRotation: Handler<typeof EnableKeyRotation, SharedChangeDeps> = async (
  { RotationPeriodInDays },
  { key, deadline },
  deps,
) => {
  const automaticRotation = automaticRotationFrom(deps.clock.now(), RotationPeriodInDays, key.automaticRotation);
  await changeShared(key, { automaticRotation }, { ...deps, deadline });
};

export const disableKeyRotation: Handler<typeof DisableKeyRotation, SharedChangeDeps> = async (
  _input,
  { key, deadline },
  deps,
) => {
  await changeShared(key, { automaticRotation: undefined }, { ...deps, deadline });
};

/** An on-demand rotation is complete when its call is answered, so none is ever reported as under way. */
export const getKeyRotationStatus: Handler<typeof GetKeyRotationStatus, object> = async (_input, { key }) => {
  const { arn: KeyId, automaticRotation: rotation } = key;
  // A key that waits for deletion is not rotated; its setting applies again if the deletion is cancelled.
  if (rotation === undefined || isPendingDeletion(key)) return { KeyId, KeyRotationEnabled: false };
  return {
    KeyId,
    KeyRotationEnabled: true,
    RotationPeriodInDays: rotation.periodInDays,
    NextRotationDate: rotation.nextDate,
  };
};

type RotateKeyOnDemandDeps = Pick<Deps, 'keys' | 'hsm' | 'clock' | 'serviceEvents'>;

export const rotateKeyOnDemand: Handler<typeof RotateKeyOnDemand, RotateKeyOnDemandDeps> = async (
  _input,
  { key, deadline },
  deps,
) => {
  // The caller need not wait for the disk.
  await rotate(key, 'ON_DEMAND', { ...deps, deadline });
  return { KeyId: key.arn };
};

type ListKeyRotationsDeps = Pick<Deps, 'markers' | 'keys' | 'clock'>;

export const listKeyRotations: Handler<typeof ListKeyRotations, ListKeyRotationsDeps> = async (
  input,
  { key, deadline },
  { markers, keys, clock },
) => {
  const { accountId, region, keyId } = key;
  const filter = JSON.stringify([keyId, input.IncludeKeyMaterial]);
  const list = { accountId, region, operation: 'ListKeyRotations', filter };
  const after = input.Marker === undefined ? undefined : await markers.open(list, input.Marker, deadline);

  const materials = key.backingKeys.filter(
    input.IncludeKeyMaterial === 'ALL_KEY_MATERIAL'
      ? ({ pending }) => !pending || key.origin === 'EXTERNAL'
      : // A rotation has taken place once all Regions have its material.
        ({ pending, rotation }) => !pending && rotation !== undefined,
  );
  // The last one: an older record may list one material twice, which a hostile HSM made, and no list may go round.
  const start = 1 + materials.findLastIndex(({ materialId }) => materialId === after);
  const page = materials.slice(start, start + (input.Limit ?? DEFAULT_LIMIT));
  const last = page.at(-1);
  const truncated = last !== undefined && last !== materials.at(-1);
  return {
    Rotations: await Promise.all(page.map((material) => entryOf(key, material, { keys, clock }))),
    ...(truncated && { NextMarker: await markers.seal(list, last.materialId, deadline) }),
    Truncated: truncated,
  };
};

/** A key's first material and pending material were not rotated to, so they have no date and no type. */
async function entryOf(key: KmsKey, material: BackingKey, deps: Pick<Deps, 'keys' | 'clock'>) {
  const { materialId, createdAt, rotation } = material;
  return {
    KeyId: key.keyId,
    KeyMaterialId: materialId,
    KeyMaterialState: await materialStateOf(key, material, deps),
    ...(key.origin === 'EXTERNAL' && importOf(material, deps.clock.now())),
    ...(rotation && { RotationDate: createdAt, RotationType: rotation }),
  };
}

async function materialStateOf(key: KmsKey, material: BackingKey, deps: Pick<Deps, 'keys' | 'clock'>) {
  if (material === currentMaterialOf(key)) return 'CURRENT' as const;
  if (!material.pending) return 'NON_CURRENT' as const;
  const isWaiting = key.multiRegion && !(await isReadyForRotation(key, deps));
  return isWaiting ? ('PENDING_MULTI_REGION_IMPORT_AND_ROTATION' as const) : ('PENDING_ROTATION' as const);
}

/** The members that AWS shows only for imported material. */
function importOf(material: BackingKey, now: number) {
  const { description, validTo } = material;
  const described = description === undefined ? {} : { KeyMaterialDescription: description };
  if (!isHereAt(material, now)) return { ImportState: 'PENDING_IMPORT' as const, ...described };
  const expiration =
    validTo === undefined
      ? { ExpirationModel: 'KEY_MATERIAL_DOES_NOT_EXPIRE' as const }
      : { ExpirationModel: 'KEY_MATERIAL_EXPIRES' as const, ValidTo: validTo };
  return { ImportState: 'IMPORTED' as const, ...described, ...expiration };
}
