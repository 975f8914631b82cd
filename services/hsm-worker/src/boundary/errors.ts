import type { Refusal } from '@keyfleet/shared/hsm/refusals';

/** Refuses a command. Only the refusal leaves the boundary. */
export class RefusedError extends Error {
  override name = 'RefusedError';
  readonly refusal: Refusal;

  constructor(refusal: Refusal) {
    super(refusal);
    this.refusal = refusal;
  }
}

/** The peer's public key cannot be used with ours. */
export class InvalidPublicKeyError extends Error {
  override name = 'InvalidPublicKeyError';
}
