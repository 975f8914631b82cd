import type { CancelKeyDeletion, ScheduleKeyDeletion } from '@keyfleet/shared/api/keys';
import { KmsException } from '@keyfleet/shared/errors/exceptions';
import { evictBackingKeys } from '../keys/backing-keys.ts';
import type { KmsKey } from '../keys/kms-key.ts';
import { DAY_MS } from '../keys/key-rotation.ts';
import type { Deps, Handler } from './handler.ts';

const [MIN_DAYS, MAX_DAYS] = [7, 30];

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

export const cancelKeyDeletion: Handler<typeof CancelKeyDeletion, Pick<Deps, 'keys'>> = async (
  _input,
  { key },
  { keys },
) => {
  await keys.updateKey({ ...key, state: stateAfter(key), deletionDate: undefined });
  return { KeyId: key.arn };
};

/**
 * Disabled whatever it was before, as AWS has it; but a key without material could be enabled from there and would
 * still do nothing.
 */
function stateAfter({ backingKeys }: KmsKey): KmsKey['state'] {
  return backingKeys.length === 0 ? 'PendingImport' : 'Disabled';
}

/** Throws ValidationException: the model allows 1 to 365 days, the service does not. */
export function assertPendingWindow(days: number): void {
  if (days >= MIN_DAYS && days <= MAX_DAYS) return;
  const message = `PendingWindowInDays should be between ${MIN_DAYS} and ${MAX_DAYS}, but it is ${days}`;
  throw new KmsException('ValidationException', message);
}
