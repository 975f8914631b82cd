import { defineAccountRead } from '../account-reads.ts';
import { IAM_QUOTAS } from '../quotas.ts';

/** What AWS counts and there is none of here. */
const none = {
  AccountAccessKeysPresent: 0,
  AccountMFAEnabled: 0,
  AccountPasswordPresent: 0,
  AccountSigningCertificatesPresent: 0,
  InstanceProfiles: 0,
  MFADevices: 0,
  MFADevicesInUse: 0,
  Providers: 0,
  ServerCertificates: 0,
};

const quotas = {
  UsersQuota: IAM_QUOTAS.user,
  RolesQuota: IAM_QUOTAS.role,
  GroupsQuota: IAM_QUOTAS.group,
  PoliciesQuota: IAM_QUOTAS.policy,
  AccessKeysPerUserQuota: IAM_QUOTAS.accessKeysPerUser,
  GroupsPerUserQuota: IAM_QUOTAS.groupsPerUser,
  AttachedPoliciesPerUserQuota: IAM_QUOTAS.attachedPolicies,
  AttachedPoliciesPerRoleQuota: IAM_QUOTAS.attachedPolicies,
  AttachedPoliciesPerGroupQuota: IAM_QUOTAS.attachedPolicies,
  VersionsPerPolicyQuota: IAM_QUOTAS.policyVersions,
  PolicySizeQuota: IAM_QUOTAS.managedPolicyLength,
  AssumeRolePolicySizeQuota: IAM_QUOTAS.trustPolicyLength,
  UserPolicySizeQuota: IAM_QUOTAS.inlinePolicyLength.user,
  RolePolicySizeQuota: IAM_QUOTAS.inlinePolicyLength.role,
  GroupPolicySizeQuota: IAM_QUOTAS.inlinePolicyLength.group,
};

export const getAccountSummary = defineAccountRead({
  service: 'iam',
  name: 'GetAccountSummary',
  input: {},
  async run({ call }, deps) {
    const { accountId } = call.caller;
    const [Users, Roles, Groups, Policies] = await Promise.all(
      (['user', 'role', 'group', 'policy'] as const).map((kind) => deps.iam.count(accountId, kind)),
    );
    return { SummaryMap: new Map(Object.entries({ Users, Roles, Groups, Policies, ...quotas, ...none })) };
  },
});
