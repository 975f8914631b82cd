import { evictBackingKeys, type MaterialSource, newBackingKey } from '../keys/backing-keys.ts';
import type { BackingKey, KmsKey } from '../keys/kms-key.ts';
import { rotatedTo } from '../keys/key-rotation.ts';
import { hasReplicas } from '../keys/multi-region.ts';
import type { HsmCommands } from '../hsm/commands.ts';
import { changeShared, type SpreadDeps } from './spread.ts';

export interface RotationDeps extends SpreadDeps, MaterialSource {
  readonly hsm: Pick<HsmCommands, 'execute' | 'executeEverywhere'>;
}

/** Gives the key new material, in each of its Regions before it is used in one. `change`: what the rotation changes besides. */
export async function rotate(
  key: KmsKey,
  rotation: NonNullable<BackingKey['rotation']>,
  deps: RotationDeps,
  change: Partial<KmsKey> = {},
): Promise<void> {
  const backingKey = await newBackingKey(key, deps);
  const rotated = await changeShared(key, { ...rotatedTo(key, backingKey, rotation), ...change }, deps);
  // Of a key in several Regions it is recorded when the last one has it, by whoever saw to that.
  if (!hasReplicas(key)) deps.serviceEvents.keyRotated(rotated);
  await evictBackingKeys({ backingKeys: rotated.backingKeys.slice(-2, -1) }, deps);
}
