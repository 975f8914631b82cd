import { KmsException } from '@keyfleet/shared/errors/exceptions';

/** A plaintext is asked for inside an attested enclave only: without that, answering in clear would betray the caller. */
export function assertNoRecipient(recipient: object | undefined): void {
  if (recipient === undefined) return;
  throw new KmsException('ValidationException', 'Recipient is not supported by this release of Keyfleet.');
}
