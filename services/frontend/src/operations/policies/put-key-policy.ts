import type { PutKeyPolicy } from '@keyfleet/shared/api/policies';
import { requesterOf } from '../../policy/authorize.ts';
import { parseKeyPolicy } from '../../policy/document.ts';
import { assertKeepsControl } from '../../policy/lockout.ts';
import type { Deps, Handler } from '../handler.ts';

export const putKeyPolicy: Handler<typeof PutKeyPolicy, Pick<Deps, 'keys' | 'policies'>> = async (
  input,
  { key, caller },
  { keys, policies },
) => {
  const policy = parseKeyPolicy(input.Policy);
  if (!input.BypassPolicyLockoutSafetyCheck) assertKeepsControl(policy, requesterOf(caller, policies), key.arn);
  await keys.updateKey({ ...key, policy: input.Policy });
};
