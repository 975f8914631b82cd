import { isPendingDeletion } from '../keys/key-states.ts';
import { type KmsKey, multiRegionTypeOf, relatedOf } from '../keys/kms-key.ts';
import { sharedChange } from '../keys/multi-region.ts';
import { decidedAgain } from '../request/deadlines.ts';
import { reunite } from './reunite.ts';
import { findPrimary, freed, type SpreadDeps, writeShared } from './spread.ts';

/**
 * Tells the primary about a replica whose record exists in the state Creating, which completes the replica. False if
 * the primary is gone or scheduled for deletion: then there is nothing to replicate.
 */
export function join(replica: KmsKey, deps: SpreadDeps): Promise<boolean> {
  const joining = async (): Promise<boolean> => {
    const primary = await findPrimary(replica, deps);
    if (primary === undefined || isPendingDeletion(primary)) return false;
    const { replicas } = relatedOf(primary);
    const isKnown = replicas.includes(replica.region);
    // A complete replica is not told again, so that repeated requests change nothing.
    if (isKnown && replica.state !== 'Creating') return true;
    const all = isKnown ? replicas : [...replicas, replica.region];
    await writeShared(primary, sharedChange(primary, {}, { replicas: all }), deps);
    return true;
  };
  return decidedAgain(joining, deps.deadline, deps.clock);
}

/**
 * Makes the primary forget a replica whose record is gone. If it was the primary, which a restore had left without its
 * replicas, another one takes its place. `regions`: wherever the key may be.
 */
export function leave(
  { region, keyId }: Pick<KmsKey, 'region' | 'keyId'>,
  regions: readonly string[],
  deps: SpreadDeps,
): Promise<void> {
  const leaving = async (): Promise<void> => {
    const keys = await Promise.all(regions.map(async (one) => deps.keys.findKey(one, keyId)));
    // It has been created again.
    if (keys.some((key) => key?.region === region)) return;
    for (const key of keys) {
      if (key === undefined || multiRegionTypeOf(key) !== 'PRIMARY') continue;
      if (!relatedOf(key).replicas.includes(region)) continue;
      await writeShared(key, withoutReplica(key, region, deps.clock.now()), deps);
    }
    const left = keys.filter((key) => key !== undefined);
    if (!left.some((key) => multiRegionTypeOf(key) === 'PRIMARY'))
      for (const key of left) await reunite(key, regions, deps);
  };
  return decidedAgain(leaving, deps.deadline, deps.clock);
}

/** The primary's record without a deleted replica. The primary's own deletion may have waited for this one. */
function withoutReplica(key: KmsKey, region: string, now: number): KmsKey {
  const replicas = relatedOf(key).replicas.filter((one) => one !== region);
  return freed(sharedChange(key, {}, { replicas }), now);
}
