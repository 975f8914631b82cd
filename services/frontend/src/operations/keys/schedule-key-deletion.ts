import type { ScheduleKeyDeletion } from '@keyfleet/shared/api/keys';
import { KmsException } from '@keyfleet/shared/errors/exceptions';
import { evictBackingKeys } from '../../keys/backing-keys.ts';
import { changeKey } from '../../keys/change-key.ts';
import { DAY_MS } from '../../keys/rotation.ts';
import type { Deps, Handler } from '../handler.ts';

const [MIN_DAYS, MAX_DAYS] = [7, 30];

type ScheduleKeyDeletionDeps = Pick<Deps, 'keys' | 'hsm' | 'clock'>;

export const scheduleKeyDeletion: Handler<typeof ScheduleKeyDeletion, ScheduleKeyDeletionDeps> = async (
  { PendingWindowInDays: days },
  { key, deadline },
  { keys, hsm, clock },
) => {
  // The model allows 1 to 365; the service does not.
  if (days < MIN_DAYS || days > MAX_DAYS) {
    const message = `PendingWindowInDays should be between ${MIN_DAYS} and ${MAX_DAYS}, but it is ${days}`;
    throw new KmsException('ValidationException', message);
  }
  const deletionDate = clock.now() + days * DAY_MS;
  const scheduled = await changeKey(key, {
    keys,
    operation: 'ScheduleKeyDeletion',
    change: () => ({ state: 'PendingDeletion', deletionDate }),
  });
  await evictBackingKeys(scheduled, { hsm, deadline });
  return { KeyId: key.arn, DeletionDate: deletionDate, KeyState: scheduled.state, PendingWindowInDays: days };
};
