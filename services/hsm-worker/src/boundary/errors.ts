import type { Refusal } from '@keyfleet/shared/hsm/refusals';

/** Refuses a command. Only the refusal leaves the boundary. */
export class RefusedError extends Error {
  override name = 'RefusedError';
  readonly refusal: Refusal;

  /** `cause`: for whoever runs the worker, never for a caller. */
  constructor(refusal: Refusal, options?: ErrorOptions) {
    super(refusal, options);
    this.refusal = refusal;
  }
}

/** The peer's public key cannot be used with ours. */
export class InvalidPublicKeyError extends Error {
  override name = 'InvalidPublicKeyError';
}
