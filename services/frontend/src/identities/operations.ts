import { absences } from './iam/absences.ts';
import { accessKeyOperations } from './iam/access-keys.ts';
import { attachmentOperations } from './iam/attachments.ts';
import { groupOperations } from './iam/groups.ts';
import { getAccountAuthorizationDetails } from './iam/account-details.ts';
import { getAccountSummary } from './iam/account-summary.ts';
import { contextKeyOperations } from './iam/context-keys.ts';
import { inlinePolicyOperations } from './iam/inline-policies.ts';
import { managedPolicyOperations } from './iam/managed-policies.ts';
import { roleOperations } from './iam/roles.ts';
import { simulationOperations } from './iam/simulate.ts';
import { tagOperations } from './iam/tags.ts';
import { userOperations } from './iam/users.ts';
import type { QueryOperation } from './query-operation.ts';
import { assumeRole } from './sts/assume-role.ts';
import { assumeRoleWithWebIdentity } from './sts/web-identity.ts';
import { decodeAuthorizationMessage, getAccessKeyInfo, getCallerIdentity } from './sts/callers.ts';
import { getSessionToken } from './sts/get-session-token.ts';

/** Every operation of IAM and STS. Their edge, checks and audit records derive from this list. */
export const queryOperations: readonly QueryOperation[] = [
  ...userOperations,
  ...accessKeyOperations,
  ...inlinePolicyOperations,
  ...tagOperations,
  ...roleOperations,
  ...groupOperations,
  ...managedPolicyOperations,
  ...attachmentOperations,
  ...simulationOperations,
  ...contextKeyOperations,
  getAccountAuthorizationDetails,
  getAccountSummary,
  ...absences,
  getCallerIdentity,
  assumeRole,
  assumeRoleWithWebIdentity,
  getSessionToken,
  getAccessKeyInfo,
  decodeAuthorizationMessage,
];
