import type { GetKeyPolicy, ListKeyPolicies, PutKeyPolicy } from '@keyfleet/shared/api/policies';
import { KmsException } from '@keyfleet/shared/errors/exceptions';
import type { KmsKey } from '../keys/kms-key.ts';
import { bindPolicy, shownPolicy } from '../policy/bound-policy.ts';
import type { Call, Deps, Handler } from './handler.ts';

/** A key has one policy, and this is its name. */
const DEFAULT_POLICY = 'default';

export const getKeyPolicy: Handler<typeof GetKeyPolicy, Pick<Deps, 'users'>> = async (
  { PolicyName },
  { key, caller },
  { users },
) => ({
  Policy: await shownPolicy({ document: key.policy, principals: key.policyPrincipals }, users, caller.accountId),
  PolicyName,
});

export const putKeyPolicy: Handler<typeof PutKeyPolicy, Pick<Deps, 'keys'>> = async ({ Policy }, call, { keys }) => {
  await keys.updateKey({ ...call.key, ...policyOfKey(Policy, call) });
};

/** A given policy in the form that a key's record stores. */
export function policyOfKey(
  policy: string,
  { principalIds }: Pick<Call, 'principalIds'>,
): Pick<KmsKey, 'policy' | 'policyPrincipals'> {
  const { document, principals } = bindPolicy(policy, principalIds ?? new Map());
  return { policy: document, policyPrincipals: principals };
}

export const listKeyPolicies: Handler<typeof ListKeyPolicies, object> = async () => ({
  PolicyNames: [DEFAULT_POLICY],
  Truncated: false,
});

/** Throws NotFoundException for any other name. */
export function assertDefaultPolicy(name: string): void {
  if (name !== DEFAULT_POLICY) throw new KmsException('NotFoundException', 'No such policy exists');
}
