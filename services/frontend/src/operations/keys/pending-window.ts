import { KmsException } from '@keyfleet/shared/errors/exceptions';

const [MIN_DAYS, MAX_DAYS] = [7, 30];

/** Throws ValidationException: the model allows 1 to 365 days, the service does not. */
export function assertPendingWindow(days: number): void {
  if (days >= MIN_DAYS && days <= MAX_DAYS) return;
  const message = `PendingWindowInDays should be between ${MIN_DAYS} and ${MAX_DAYS}, but it is ${days}`;
  throw new KmsException('ValidationException', message);
}
