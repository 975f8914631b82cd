import type { IamDeps } from '../query-operation.ts';
import { findPolicy, noSuch } from '../targets.ts';

/** Throws NoSuchEntity unless it is a managed policy of the account, or of AWS. */
export async function assertBoundary(
  deps: Pick<IamDeps, 'iam' | 'partition'>,
  accountId: string,
  arn: string | undefined,
): Promise<void> {
  if (arn !== undefined && (await findPolicy(deps, accountId, arn)) === undefined) throw noSuch('policy', arn);
}
