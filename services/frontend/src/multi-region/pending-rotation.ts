import type { Clock } from '@keyfleet/shared/clock';
import { isHereAt } from '../keys/backing-keys.ts';
import { noPendingRotation } from '../keys/key-rotation.ts';
import { type KmsKey, relatedOf } from '../keys/kms-key.ts';
import { isRelated } from '../keys/multi-region.ts';
import type { KeyStore } from '../store/store.ts';

export interface PendingRotationDeps {
  readonly keys: Pick<KeyStore, 'findKey'>;
  readonly clock: Clock;
}

/**
 * Whether imported material waits only for RotateKeyOnDemand: it is present in every Region of the key, as each
 * Region's own record says. A Region that loses it before it is told of the rotation waits for it, in `PendingImport`.
 */
export async function isReadyForRotation(key: KmsKey, { keys, clock }: PendingRotationDeps): Promise<boolean> {
  const { primary, replicas } = relatedOf(key);
  const others = [primary, ...replicas].filter((region) => region !== key.region);
  const found = await Promise.all(others.map(async (region) => keys.findKey(region, key.keyId)));
  const all = [key, ...found.filter((other) => isRelated(key, other))];
  const waiting = key.backingKeys.find(({ pending }) => pending);
  const now = clock.now();
  const hasIt = ({ backingKeys }: KmsKey) =>
    backingKeys.some((material) => material.materialId === waiting?.materialId && isHereAt(material, now));
  return waiting !== undefined && all.every(hasIt);
}

/** For a key of origin EXTERNAL: throws with AWS's text unless it is ready. */
export async function assertReadyForRotation(key: KmsKey, deps: PendingRotationDeps): Promise<void> {
  if (key.origin === 'EXTERNAL' && !(await isReadyForRotation(key, deps))) throw noPendingRotation(key);
}
