import { KmsException } from '@keyfleet/shared/errors/exceptions';

/** Ends a dry run that got as far as the work itself. To AWS that is an error too. */
export function assertNotDryRun(dryRun: boolean | undefined): void {
  if (!dryRun) return;
  throw new KmsException('DryRunOperationException', 'The request would have succeeded, but the DryRun option is set.');
}
