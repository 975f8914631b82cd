import type { Policy } from './document.ts';
import { invalidPrincipals } from './principals.ts';

/** Which users and roles there are. */
export interface Users {
  /** `arn`: of a user, a role or a session of the account. */
  exists(accountId: string, arn: string): Promise<boolean>;
}

/**
 * Throws MalformedPolicyDocumentException if the policy names a user or role of the caller's account that does not
 * exist, or a session of such a role. Those of other accounts are not ours to know.
 */
export async function assertPrincipalsExist(
  policy: Policy,
  caller: { readonly accountId: string; readonly arn: string },
  users: Users,
): Promise<void> {
  const own = new RegExp(`^arn:[^:]+:(?:iam|sts)::${caller.accountId}:`);
  const named = new Set(
    policy.statements.flatMap(({ principals, notPrincipals }) => [...((principals ?? notPrincipals)?.arns ?? [])]),
  );
  for (const arn of named) {
    if (arn === caller.arn || !own.test(arn) || (await users.exists(caller.accountId, arn))) continue;
    throw invalidPrincipals();
  }
}
