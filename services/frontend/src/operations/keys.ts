import type {
  DescribeKey,
  DisableKey,
  EnableKey,
  GetKeyLastUsage,
  GetPublicKey,
  ListKeys,
  UpdateKeyDescription,
} from '@keyfleet/shared/api/keys';
import { keyArn } from '@keyfleet/shared/arn';
import { evictBackingKeys } from '../keys/backing-keys.ts';
import { isAway } from '../key-stores/key-place.ts';
import { metadataOf, specMembersOf } from '../keys/key-metadata.ts';
import { assertMayBeEnabled } from '../multi-region/spread.ts';
import type { Deps, Handler } from './handler.ts';

const DEFAULT_LIMIT = 100;

export const describeKey: Handler<typeof DescribeKey, Pick<Deps, 'clock' | 'keyStores'>> = async (
  _input,
  { key },
  { clock, keyStores },
) => ({ KeyMetadata: metadataOf(key, clock.now(), await isAway(key, keyStores, undefined)) });

export const listKeys: Handler<typeof ListKeys, Pick<Deps, 'keys' | 'markers' | 'partition'>> = async (
  input,
  { caller: { accountId }, region, deadline },
  { keys, markers, partition },
) => {
  const scope = { accountId, region };
  const list = { ...scope, operation: 'ListKeys' };
  const after = input.Marker === undefined ? undefined : await markers.open(list, input.Marker, deadline);
  // Deployments do not share keys between accounts, so there are none of others.
  const own = input.ResourceOwners?.includes('SELF') ?? true;
  const { items, next } = own
    ? await keys.listKeys(scope, input.Limit ?? DEFAULT_LIMIT, after)
    : { items: [], next: undefined };
  return {
    Keys: items.map((keyId) => ({ KeyId: keyId, KeyArn: keyArn({ ...scope, partition }, keyId) })),
    ...(next !== undefined && { NextMarker: await markers.seal(list, next, deadline) }),
    Truncated: next !== undefined,
  };
};

export const getPublicKey: Handler<typeof GetPublicKey, Pick<Deps, 'publicKeys'>> = async (
  _input,
  { key, deadline },
  { publicKeys },
) => ({ KeyId: key.arn, PublicKey: await publicKeys.of(key, deadline), ...specMembersOf(key) });

export const getKeyLastUsage: Handler<typeof GetKeyLastUsage, Pick<Deps, 'lastUsages'>> = async (
  _input,
  { key },
  { lastUsages },
) => {
  const usage = await lastUsages.find(key);
  return {
    KeyId: key.arn,
    // AWS: an empty object for a key that has not been used since tracking began.
    KeyLastUsage: usage
      ? {
          Operation: usage.operation,
          Timestamp: usage.usedAt,
          CloudTrailEventId: usage.eventId,
          KmsRequestId: usage.requestId,
        }
      : {},
    // The later of when tracking began and when the key was created; every release tracks.
    TrackingStartDate: key.createdAt,
    KeyCreationDate: key.createdAt,
  };
};

export const enableKey: Handler<typeof EnableKey, Pick<Deps, 'keys'>> = async (_input, { key }, { keys }) => {
  assertMayBeEnabled(key);
  await keys.updateKey({ ...key, state: 'Enabled' });
};

export const disableKey: Handler<typeof DisableKey, Pick<Deps, 'keys' | 'hsm' | 'clock'>> = async (
  _input,
  { key, deadline },
  { keys, hsm, clock },
) => {
  const disabled = await keys.updateKey({ ...key, state: 'Disabled' });
  // The record alone keeps every frontend from using the key; this also removes the opened material from memory.
  await evictBackingKeys(disabled, { hsm, clock, deadline });
};

export const updateKeyDescription: Handler<typeof UpdateKeyDescription, Pick<Deps, 'keys'>> = async (
  { Description },
  { key },
  { keys },
) => {
  await keys.updateKey({ ...key, description: Description });
};
