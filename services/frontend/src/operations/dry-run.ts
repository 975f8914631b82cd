import { KmsException } from '@keyfleet/shared/errors/exceptions';

/** Ends a dry run that got as far as the work itself. To AWS that is an error too. */
export function assertNotDryRun(dryRun: boolean | undefined): void {
  if (!dryRun) return;
  throw new KmsException('DryRunOperationException', 'The request would have succeeded, but the DryRun option is set.');
}

export interface DryRunInput {
  readonly DryRun?: boolean | undefined;
  readonly DryRunModifiers?: readonly string[] | undefined;
}

/**
 * True for a dry run that asks about permissions only and may have no ciphertext (AWS KMS Developer Guide "Testing your
 * permissions"). Throws ValidationException for the modifier without the dry run.
 */
export function ignoresCiphertext({ DryRun, DryRunModifiers = [] }: DryRunInput): boolean {
  if (!DryRunModifiers.includes('IGNORE_CIPHERTEXT')) return false;
  if (DryRun) return true;
  throw new KmsException('ValidationException', 'DryRunModifiers can only be specified when DryRun is true.');
}
