import type { Operation } from '@keyfleet/shared/api/operation';
import { KmsException } from '@keyfleet/shared/errors/exceptions';

/** Answers what is known of the API and not in this release, as AWS answers an operation that it does not know. */
export function unavailable({ name }: Operation): KmsException {
  return new KmsException('UnknownOperationException', `kms:${name} is not available in this release of Keyfleet.`);
}
