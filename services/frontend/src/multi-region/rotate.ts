import { changeAndRecord } from '../audit/recorded-change.ts';
import { currentBackingKey, evictBackingKeys, type MaterialSource, newBackingKey } from '../keys/backing-keys.ts';
import type { BackingKey, KmsKey } from '../keys/kms-key.ts';
import { rotatedTo, rotatedToImported } from '../keys/key-rotation.ts';
import { hasReplicas, sharedChange } from '../keys/multi-region.ts';
import type { HsmCommands } from '../hsm/commands.ts';
import { changeShared, type SpreadDeps, writeShared } from './spread.ts';

export interface RotationDeps extends SpreadDeps, MaterialSource {
  readonly hsm: Pick<HsmCommands, 'execute' | 'executeEverywhere'>;
}

/**
 * Gives the key new material, in each of its Regions before any of them uses it; for a key of origin EXTERNAL, the
 * material imported for this. `change`: what else the rotation changes. `recorded` rejects if the rotation could not be
 * recorded yet. For a key in several Regions, the event is recorded once the last one has the material, by whoever
 * completes that.
 */
export async function rotate(
  key: KmsKey,
  rotation: NonNullable<BackingKey['rotation']>,
  deps: RotationDeps,
  change: Partial<KmsKey> = {},
): Promise<{ readonly recorded: Promise<void> }> {
  const before = currentBackingKey(key);
  const changes = { ...(await nextMaterials(key, rotation, deps)), ...change };
  let recorded = Promise.resolve();
  if (hasReplicas(key) && key.origin === 'EXTERNAL') {
    // Every Region already had it.
    const rotated = sharedChange(key, changes);
    await writeShared(key, rotated, deps, deps.serviceEvents.rotationOf(rotated));
  } else if (hasReplicas(key)) {
    await changeShared(key, changes, deps);
  } else {
    const rotated = { ...key, ...changes };
    ({ recorded } = await changeAndRecord(rotated, deps.serviceEvents.rotationOf(rotated), deps));
  }
  await evictBackingKeys({ backingKeys: [before] }, deps);
  return { recorded };
}

async function nextMaterials(
  key: KmsKey,
  rotation: NonNullable<BackingKey['rotation']>,
  deps: RotationDeps,
): Promise<Pick<KmsKey, 'backingKeys'>> {
  if (key.origin === 'EXTERNAL') return rotatedToImported(key, deps.clock.now());
  return rotatedTo(key, await newBackingKey(key, deps), rotation);
}
