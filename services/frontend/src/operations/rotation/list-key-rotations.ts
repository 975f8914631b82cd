import type { ListKeyRotations } from '@keyfleet/shared/api/rotation';
import type { BackingKey, KmsKey } from '../../keys/kms-key.ts';
import type { Deps, Handler } from '../handler.ts';

const DEFAULT_LIMIT = 100;

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
