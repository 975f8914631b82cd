import type { ScheduleKeyDeletion } from '@keyfleet/shared/api/keys';
import { evictBackingKeys } from '../../keys/backing-keys.ts';
import { DAY_MS } from '../../keys/rotation.ts';
import type { Deps, Handler } from '../handler.ts';

type ScheduleKeyDeletionDeps = Pick<Deps, 'keys' | 'hsm' | 'clock'>;

export const scheduleKeyDeletion: Handler<typeof ScheduleKeyDeletion, ScheduleKeyDeletionDeps> = async (
  { PendingWindowInDays: days },
  { key, deadline },
  { keys, hsm, clock },
) => {
  const deletionDate = clock.now() + days * DAY_MS;
  const scheduled = await keys.updateKey({ ...key, state: 'PendingDeletion', deletionDate });
  await evictBackingKeys(scheduled, { hsm, deadline });
  return { KeyId: key.arn, DeletionDate: deletionDate, KeyState: scheduled.state, PendingWindowInDays: days };
};
