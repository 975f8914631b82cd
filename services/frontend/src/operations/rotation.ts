import type {
  DisableKeyRotation,
  EnableKeyRotation,
  GetKeyRotationStatus,
  ListKeyRotations,
  RotateKeyOnDemand,
} from '@keyfleet/shared/api/rotation';
import { currentBackingKey } from '../keys/backing-keys.ts';
import type { BackingKey, KmsKey } from '../keys/kms-key.ts';
import { automaticRotationFrom } from '../keys/key-rotation.ts';
import { isPendingDeletion } from '../keys/key-states.ts';
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

/** A rotation on demand is over when its call is answered, so none is ever told as under way. */
export const getKeyRotationStatus: Handler<typeof GetKeyRotationStatus, object> = async (_input, { key }) => {
  const { arn: KeyId, automaticRotation: rotation } = key;
  // A key that waits for its deletion is not rotated; what was set holds again when the deletion is cancelled.
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
  const { recorded } = await rotate(key, 'ON_DEMAND', { ...deps, deadline });
  // The caller need not wait for the disk: what is not recorded now is recorded in a minute.
  recorded.catch(() => undefined);
  return { KeyId: key.arn };
};

export const listKeyRotations: Handler<typeof ListKeyRotations, Pick<Deps, 'markers'>> = async (
  input,
  { key, deadline },
  { markers },
) => {
  const { accountId, region, keyId } = key;
  const filter = JSON.stringify([keyId, input.IncludeKeyMaterial]);
  const list = { accountId, region, operation: 'ListKeyRotations', filter };
  const after = input.Marker === undefined ? undefined : await markers.open(list, input.Marker, deadline);

  // A rotation has happened when all Regions have its material.
  const held = key.backingKeys.filter(({ pending }) => !pending);
  const materials =
    input.IncludeKeyMaterial === 'ALL_KEY_MATERIAL' ? held : held.filter(({ rotation }) => rotation !== undefined);
  const start = 1 + materials.findIndex(({ materialId }) => materialId === after);
  const page = materials.slice(start, start + (input.Limit ?? DEFAULT_LIMIT));
  const last = page.at(-1);
  const truncated = last !== undefined && last !== materials.at(-1);
  return {
    Rotations: page.map((material) => entryOf(key, material)),
    ...(truncated && { NextMarker: await markers.seal(list, last.materialId, deadline) }),
    Truncated: truncated,
  };
};

/** A key's first material was not rotated to: it has no date and no type. */
function entryOf(key: KmsKey, { materialId, createdAt, rotation }: BackingKey) {
  const isCurrent = materialId === currentBackingKey(key).materialId;
  return {
    KeyId: key.keyId,
    KeyMaterialId: materialId,
    KeyMaterialState: isCurrent ? ('CURRENT' as const) : ('NON_CURRENT' as const),
    ...(rotation && { RotationDate: createdAt, RotationType: rotation }),
  };
}
