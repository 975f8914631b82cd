import { KmsException } from '@keyfleet/shared/errors/exceptions';

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
