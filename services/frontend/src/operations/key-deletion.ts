import type { CancelKeyDeletion, ScheduleKeyDeletion } from '@keyfleet/shared/api/keys';
import { KmsException } from '@keyfleet/shared/errors/exceptions';
import { evictBackingKeys, lacksMaterial } from '../keys/backing-keys.ts';
import { type KmsKey, multiRegionTypeOf } from '../keys/kms-key.ts';
import { DAY_MS } from '../keys/key-rotation.ts';
import { hasReplicas } from '../keys/multi-region.ts';
import type { Deps, Handler } from './handler.ts';

const [MIN_DAYS, MAX_DAYS] = [7, 30];

type ScheduleKeyDeletionDeps = Pick<Deps, 'keys' | 'hsm' | 'clock'>;

export const scheduleKeyDeletion: Handler<typeof ScheduleKeyDeletion, ScheduleKeyDeletionDeps> = async (
  { PendingWindowInDays: days },
  { key, deadline },
  { keys, hsm, clock },
) => {
  const scheduled = await keys.updateKey({ ...key, ...waitOf(key, days, clock.now()) });
  await evictBackingKeys(scheduled, { hsm, clock, deadline });
  const { deletionDate, state } = scheduled;
  return {
    KeyId: key.arn,
    ...(deletionDate !== undefined && { DeletionDate: deletionDate }),
    KeyState: state,
    PendingWindowInDays: days,
  };
};

/** A primary's waiting period begins when its last replica is gone. */
function waitOf(key: KmsKey, days: number, now: number): Partial<KmsKey> {
  if (hasReplicas(key)) return { state: 'PendingReplicaDeletion', pendingWindowInDays: days };
  return { state: 'PendingDeletion', deletionDate: now + days * DAY_MS };
}

export const cancelKeyDeletion: Handler<typeof CancelKeyDeletion, Pick<Deps, 'keys' | 'clock'>> = async (
  _input,
  { key },
  { keys, clock },
) => {
  const state = stateAfter(key, clock.now());
  await keys.updateKey({ ...key, state, deletionDate: undefined, pendingWindowInDays: undefined });
  return { KeyId: key.arn };
};

/**
 * Disabled regardless of its earlier state, as with AWS. But a key without material could be enabled from there and
 * still do nothing. A replica gets its primary's materials when it is made, of imported ones what they are: one without
 * any is not complete yet.
 */
function stateAfter(key: KmsKey, now: number): KmsKey['state'] {
  if (multiRegionTypeOf(key) === 'REPLICA' && key.backingKeys.length === 0) return 'Creating';
  return lacksMaterial(key, now) ? 'PendingImport' : 'Disabled';
}

/** Throws ValidationException: the model allows 1 to 365 days, the service does not. */
export function assertPendingWindow(days: number): void {
  if (days >= MIN_DAYS && days <= MAX_DAYS) return;
  const message = `PendingWindowInDays should be between ${MIN_DAYS} and ${MAX_DAYS}, but it is ${days}`;
  throw new KmsException('ValidationException', message);
}
