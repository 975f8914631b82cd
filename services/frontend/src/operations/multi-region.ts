import type { ReplicateKey, UpdatePrimaryRegion } from '@keyfleet/shared/api/multi-region';
import { KmsException } from '@keyfleet/shared/errors/exceptions';
import { metadataOf } from '../keys/key-metadata.ts';
import { type KmsKey, multiRegionTypeOf, relatedOf } from '../keys/kms-key.ts';
import { arnIn, isRelated, newReplica, sharedChange } from '../keys/multi-region.ts';
import { join } from '../multi-region/replicas.ts';
import { type SpreadDeps, writeShared } from '../multi-region/spread.ts';
import { defaultKeyPolicy } from '../policy/lockout.ts';
import { ConflictError } from '../store/store.ts';
import { assertRoom } from './create-key.ts';
import type { Deps, Handler } from './handler.ts';
import { policyOfKey } from './policies.ts';

type ReplicateKeyDeps = Pick<Deps, 'keys' | 'keyQuota' | 'clock' | 'partition' | 'serviceEvents'>;

/**
 * The record of the replica comes first, Creating and of no use yet; then its primary knows it, and makes it whole. Cut
 * off between, the background goes on.
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
  // The primary was scheduled for deletion meanwhile: it says so to who asks again.
  if (!(await join(replica, spreadDeps))) throw new ConflictError(`${key.arn} has changed`);
  return {
    ReplicaKeyMetadata: metadataOf(replica, replica.createdAt),
    ReplicaPolicy: policy,
    ReplicaTags: [...replica.tags],
  };
};

/** A replica that is there already, and that its primary does not know, is known from then on. */
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

/** Throws for a Region in which the primary has nothing to be followed by. */
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
