import type { Operation } from '@keyfleet/shared/api/operation';
import { commonErrors, KmsException } from '@keyfleet/shared/errors/exceptions';
import { HsmUnavailableError } from '../hsm/commands.ts';
import { StoreUnavailableError } from '../store/store.ts';

/** A dependency did not answer in time. AWS's words (KMS API Reference, "Common errors"). */
export function timedOut(cause?: unknown): KmsException {
  const message = 'The system timed out while trying to fulfill the request. You can retry the request.';
  return new KmsException('DependencyTimeoutException', message, { cause });
}

/** More requests are in flight than the service accepts. AWS's words (KMS Developer Guide, "Throttling"). */
function throttled(cause: unknown): KmsException {
  const message = 'You have exceeded the rate at which you may call KMS. Reduce the frequency of your calls.';
  return new KmsException('ThrottlingException', message, { cause });
}

/** Does not fit a frame to an HSM: only a context could be that large, and the API refuses it before. */
function tooLarge(cause: unknown): KmsException {
  return new KmsException('ValidationException', 'The encryption context is too large.', { cause });
}

/**
 * The only mapping of errors to answers. Our own faults become KMSInternalException without detail. `operation`: the
 * operation reached, which answers only errors that it declares.
 */
export function exceptionOf(error: unknown, operation?: Operation): KmsException {
  const exception = error instanceof KmsException ? error : ofDependency(error);
  if (operation === undefined || commonErrors.has(exception.code) || operation.errors.includes(exception.code)) {
    return exception;
  }
  return internal(new Error(`${exception.code} is not declared for the operation`, { cause: exception }));
}

function ofDependency(error: unknown): KmsException {
  if (error instanceof StoreUnavailableError) return timedOut(error);
  if (!(error instanceof HsmUnavailableError)) return internal(error);
  switch (error.reason) {
    case 'timed-out':
      return timedOut(error);
    case 'overloaded':
      return throttled(error);
    case 'too-large':
      return tooLarge(error);
    case 'nobody-else':
    case 'unconfirmed':
      return internal(error);
  }
}

function internal(cause: unknown): KmsException {
  return new KmsException('KMSInternalException', '', { cause });
}
