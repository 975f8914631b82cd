import type { GetKeyLastUsage } from '@keyfleet/shared/api/keys';
import type { Deps, Handler } from '../handler.ts';

export const getKeyLastUsage: Handler<typeof GetKeyLastUsage, Pick<Deps, 'lastUsages'>> = async (
  _input,
  { key },
  { lastUsages },
) => {
  const usage = await lastUsages.find(key);
  return {
    KeyId: key.arn,
    // AWS: an empty object for a key that was not used since tracking began.
    KeyLastUsage: usage
      ? {
          Operation: usage.operation,
          Timestamp: usage.usedAt,
          CloudTrailEventId: usage.eventId,
          KmsRequestId: usage.requestId,
        }
      : {},
    // The later of when tracking began and the key was created; every release tracks.
    TrackingStartDate: key.createdAt,
    KeyCreationDate: key.createdAt,
  };
};
