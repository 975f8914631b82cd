/**
 * The most of each kind that an account may have, and the most that each may contain (IAM User Guide, "IAM and AWS STS
 * quotas": the defaults; what AWS does not have says so).
 */
export const IAM_QUOTAS = {
  user: 5_000,
  role: 1_000,
  group: 300,
  policy: 1_500,
  accessKeysPerUser: 2,
  groupsPerUser: 10,
  /** Ours: they change in one step of Redis, which takes about 10 ms. */
  usersOfRenamedGroup: 500,
  attachedPolicies: 10,
  policyVersions: 5,
  tags: 50,
  /** In characters, without white space; with it, twice as many (that is ours). */
  managedPolicyLength: 6_144,
  trustPolicyLength: 2_048,
  /** For all inline policies together. */
  inlinePolicyLength: { user: 2_048, role: 10_240, group: 5_120 },
} as const;
