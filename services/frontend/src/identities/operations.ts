import { accessKeyOperations } from './iam/access-keys.ts';
import { inlinePolicyOperations } from './iam/inline-policies.ts';
import { tagOperations } from './iam/tags.ts';
import { userOperations } from './iam/users.ts';
import type { QueryOperation } from './query-operation.ts';
import { getCallerIdentity } from './sts/get-caller-identity.ts';

/** Every operation of IAM and STS that there is: their edge, checks and audit records derive from this. */
export const queryOperations: readonly QueryOperation[] = [
  ...userOperations,
  ...accessKeyOperations,
  ...inlinePolicyOperations,
  ...tagOperations,
  getCallerIdentity,
];
