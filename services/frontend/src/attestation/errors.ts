/** Why an attestation document proves nothing. The message is for the caller, whose document it is. */
export class AttestationError extends Error {
  override name = 'AttestationError';

  constructor(why: string, options?: ErrorOptions) {
    super(`The attestation document ${why}.`, options);
  }
}
