import type { GetKeyRotationStatus } from '@keyfleet/shared/api/rotation';
import type { Handler } from '../handler.ts';

/** A rotation on demand is over when its call is answered, so none is ever told as under way. */
export const getKeyRotationStatus: Handler<typeof GetKeyRotationStatus, object> = async (_input, { key }) => {
  const { arn: KeyId, automaticRotation: rotation } = key;
  // A key that waits for its deletion is not rotated; what was set holds again when the deletion is cancelled.
  if (rotation === undefined || key.state === 'PendingDeletion') return { KeyId, KeyRotationEnabled: false };
  return {
    KeyId,
    KeyRotationEnabled: true,
    RotationPeriodInDays: rotation.periodInDays,
    NextRotationDate: rotation.nextDate,
  };
};
