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
 * Whether imported material waits for nothing but RotateKeyOnDemand: it is in every Region of the key. Each Region's
 * record says so of its own. One that loses it before it is told of the rotation waits for it, `PendingImport`.
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

/** Throws, of a key of origin EXTERNAL, with AWS's text. */
export async function assertReadyForRotation(key: KmsKey, deps: PendingRotationDeps): Promise<void> {
  if (key.origin === 'EXTERNAL' && !(await isReadyForRotation(key, deps))) throw noPendingRotation(key);
}
