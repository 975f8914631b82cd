import type { ReplicateKey, UpdatePrimaryRegion } from '@keyfleet/shared/api/multi-region';
import { KmsException } from '@keyfleet/shared/errors/exceptions';
import { metadataOf } from '../keys/key-metadata.ts';
import { type KmsKey, multiRegionTypeOf, relatedOf } from '../keys/kms-key.ts';
import { arnIn, isRelated, newReplica, sharedChange } from '../keys/multi-region.ts';
import { join } from '../multi-region/replicas.ts';
import { type SpreadDeps, writeShared } from '../multi-region/spread.ts';
import { defaultKeyPolicy } from '../policy/default-key-policy.ts';
import { ConflictError } from '../store/store.ts';
import { assertRoom } from './create-key.ts';
import type { Deps, Handler } from './handler.ts';
import { policyOfKey } from './policies.ts';

type ReplicateKeyDeps = Pick<Deps, 'keys' | 'keyQuota' | 'clock' | 'partition' | 'serviceEvents'>;

/**
 * First stores the replica's record, in the state Creating and unusable; then the primary learns of it and completes
 * it. If that is interrupted, the background continues.
 */
export const replicateKey: Handler<typeof ReplicateKey, ReplicateKeyDeps> = async (input, call, deps) => {
  const { key, deadline } = call;
  const { keys, clock, partition, serviceEvents } = deps;
  const region = input.ReplicaRegion;
  await assertRoom({ accountId: key.accountId, region }, deps);
  const policy = input.Policy ?? defaultKeyPolicy(partition, key.accountId);
  const replica = newReplica(key, {
    region,
    createdAt: clock.now(),
    description: input.Description,
    ...policyOfKey(policy, call),
    tags: input.Tags ?? [],
  });
  const spreadDeps = { keys, clock, deadline, serviceEvents };
  await insert(replica, spreadDeps);
  // The primary was scheduled for deletion meanwhile; a retry will be told so.
  if (!(await join(replica, spreadDeps))) throw new ConflictError(`${key.arn} has changed`);
  return {
    ReplicaKeyMetadata: metadataOf(replica, replica.createdAt),
    ReplicaPolicy: policy,
    ReplicaTags: [...replica.tags],
  };
};

/** A replica that already exists, but is unknown to its primary, becomes known now. */
async function insert(replica: KmsKey, deps: SpreadDeps & Pick<Deps, 'keys'>): Promise<void> {
  try {
    await deps.keys.insertKey(replica);
  } catch (error) {
    if (!(error instanceof ConflictError)) throw error;
    const there = await deps.keys.findKey(replica.region, replica.keyId);
    if (isRelated(replica, there) && multiRegionTypeOf(there) === 'REPLICA') await join(there, deps);
    throw new KmsException('AlreadyExistsException', `The key ${replica.arn} already exists.`, { cause: error });
  }
}

type UpdatePrimaryRegionDeps = Pick<Deps, 'keys' | 'clock' | 'serviceEvents'>;

export const updatePrimaryRegion: Handler<typeof UpdatePrimaryRegion, UpdatePrimaryRegionDeps> = async (
  { PrimaryRegion: next },
  { key, deadline },
  { keys, clock, serviceEvents },
) => {
  await writeShared(key, sharedChange(key, {}, { next }), { keys, clock, deadline, serviceEvents });
};

/** Throws for a Region that cannot become the primary's. */
export function assertReplicaIn(region: string, key: KmsKey): void {
  if (region === key.region) {
    throw new KmsException('UnsupportedOperationException', `${key.arn} is the primary key already.`);
  }
  if (relatedOf(key).replicas.includes(region)) return;
  throw new KmsException('NotFoundException', `Key '${arnIn(key, region)}' does not exist`);
}

/** Throws unless this deployment serves the Region. */
export function assertServed(region: string, served: ReadonlySet<string>): void {
  if (served.has(region)) return;
  throw new KmsException('UnsupportedOperationException', `The Region ${region} is not served by this deployment.`);
}
