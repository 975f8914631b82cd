import type {
  DisableKeyRotation,
  EnableKeyRotation,
  GetKeyRotationStatus,
  ListKeyRotations,
  RotateKeyOnDemand,
} from '@keyfleet/shared/api/rotation';
import { evictBackingKeys, newBackingKey } from '../keys/backing-keys.ts';
import type { BackingKey, KmsKey } from '../keys/kms-key.ts';
import { automaticRotationFrom, rotatedTo } from '../keys/key-rotation.ts';
import type { Deps, Handler } from './handler.ts';

const DEFAULT_LIMIT = 100;

export const enableKeyRotation: Handler<typeof EnableKeyRotation, Pick<Deps, 'keys' | 'clock'>> = async (
  { RotationPeriodInDays },
  { key },
  { keys, clock },
) => {
  const automaticRotation = automaticRotationFrom(clock.now(), RotationPeriodInDays, key.automaticRotation);
  await keys.updateKey({ ...key, automaticRotation });
};

export const disableKeyRotation: Handler<typeof DisableKeyRotation, Pick<Deps, 'keys'>> = async (
  _input,
  { key },
  { keys },
) => {
  await keys.updateKey({ ...key, automaticRotation: undefined });
};

/** A rotation on demand is over when its call is answered, so none is ever told as under way. */
export const getKeyRotationStatus: Handler<typeof GetKeyRotationStatus, object> = async (_input, { key }) => {
  const { arn: KeyId, automaticRotation: rotation } = key;
  // A key that waits for its deletion is not rotated; what was set holds again when the deletion is cancelled.
  if (rotation === undefined || key.state === 'PendingDeletion') return { KeyId, KeyRotationEnabled: false };
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
  { keys, hsm, clock, serviceEvents },
) => {
  const backingKey = await newBackingKey(key, { hsm, clock, deadline });
  const rotated = await keys.updateKey({ ...key, ...rotatedTo(key, backingKey, 'ON_DEMAND') });
  serviceEvents.keyRotated(rotated);
  await evictBackingKeys({ backingKeys: rotated.backingKeys.slice(-2, -1) }, { hsm, deadline });
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

  const materials =
    input.IncludeKeyMaterial === 'ALL_KEY_MATERIAL'
      ? key.backingKeys
      : key.backingKeys.filter(({ rotation }) => rotation !== undefined);
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
function entryOf({ keyId, backingKeys }: KmsKey, { materialId, createdAt, rotation }: BackingKey) {
  return {
    KeyId: keyId,
    KeyMaterialId: materialId,
    KeyMaterialState: materialId === backingKeys.at(-1)?.materialId ? ('CURRENT' as const) : ('NON_CURRENT' as const),
    ...(rotation && { RotationDate: createdAt, RotationType: rotation }),
  };
}
