import type { KmsKey } from './kms-key.ts';

/** When the service itself has something to do with a key: delete or rotate it. Milliseconds since the epoch. */
export function dueDateOf({ state, deletionDate, automaticRotation }: KmsKey): number | undefined {
  if (state === 'PendingDeletion') return deletionDate;
  return state === 'Enabled' ? automaticRotation?.nextDate : undefined;
}
