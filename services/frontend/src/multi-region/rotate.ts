import { changeAndRecord } from '../audit/recorded-change.ts';
import { currentBackingKey, evictBackingKeys, type MaterialSource, newBackingKey } from '../keys/backing-keys.ts';
import type { BackingKey, KmsKey } from '../keys/kms-key.ts';
import { rotatedTo } from '../keys/key-rotation.ts';
import { hasReplicas } from '../keys/multi-region.ts';
import type { HsmCommands } from '../hsm/commands.ts';
import { changeShared, type SpreadDeps } from './spread.ts';

export interface RotationDeps extends SpreadDeps, MaterialSource {
  readonly hsm: Pick<HsmCommands, 'execute' | 'executeEverywhere'>;
}

/**
 * Gives the key new material, in each of its Regions before it is used in one. `change`: what the rotation changes
 * besides. `recorded` rejects when the rotation could not be recorded yet. Of a key in several Regions it is told when
 * the last one has it, by whoever saw to that.
 */
export async function rotate(
  key: KmsKey,
  rotation: NonNullable<BackingKey['rotation']>,
  deps: RotationDeps,
  change: Partial<KmsKey> = {},
): Promise<{ readonly recorded: Promise<void> }> {
  const before = currentBackingKey(key);
  const backingKey = await newBackingKey(key, deps);
  const changes = { ...rotatedTo(key, backingKey, rotation), ...change };
  let recorded = Promise.resolve();
  if (hasReplicas(key)) {
    await changeShared(key, changes, deps);
  } else {
    const rotated = { ...key, ...changes };
    ({ recorded } = await changeAndRecord(rotated, deps.serviceEvents.rotationOf(rotated), deps));
  }
  await evictBackingKeys({ backingKeys: [before] }, deps);
  return { recorded };
}
