import { KmsException } from '@keyfleet/shared/errors/exceptions';

/** What the service depends on did not answer in time. AWS's words (KMS API Reference, "Common errors"). */
export function timedOut(cause?: unknown): KmsException {
  const message = 'The system timed out while trying to fulfill the request. You can retry the request.';
  return new KmsException('DependencyTimeoutException', message, { cause });
}

/** More is in flight than the service takes. AWS's words (KMS Developer Guide, "Throttling"). */
export function throttled(cause?: unknown): KmsException {
  const message = 'You have exceeded the rate at which you may call KMS. Reduce the frequency of your calls.';
  return new KmsException('ThrottlingException', message, { cause });
}
