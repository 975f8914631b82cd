import { choice, list } from '@keyfleet/shared/api/shape';
import { defineAccountRead } from '../account-reads.ts';
import { awsManagedPolicies } from '../aws-managed-policies.ts';
import type { GroupRecord, IamRecord, PolicyRecord, RoleRecord, UserRecord } from '../iam-records.ts';
import type { IamDeps } from '../query-operation.ts';
import { awsRecord } from '../targets.ts';
import {
  attachedAnswer,
  encodeDocument,
  groupAnswer,
  policyAnswer,
  roleAnswer,
  userAnswer,
  versionAnswer,
} from './answers.ts';
import { paging } from './fields.ts';
import { chained, pageAnswer, pageOfAll } from './pages.ts';
import { countsOf } from './policy-uses.ts';

const kinds = ['User', 'Role', 'Group', 'LocalManagedPolicy', 'AWSManagedPolicy'] as const;

export const getAccountAuthorizationDetails = defineAccountRead({
  service: 'iam',
  name: 'GetAccountAuthorizationDetails',
  input: { Filter: list(choice([...kinds])).optional(), ...paging },
  async run({ input, call }, deps) {
    const { accountId } = call.caller;
    const { Filter: filter = [] } = input;
    const lists = Object.entries(listsOf(accountId, deps)).filter(
      ([kind]) => filter.length === 0 || filter.some((wanted) => wanted === kind),
    );
    return pageAnswer(
      input,
      {
        operation: 'GetAccountAuthorizationDetails',
        filter: JSON.stringify(lists.map(([kind]) => kind)),
        list: chained<IamRecord>(Object.fromEntries(lists)),
      },
      { call, deps, named: (records) => detailsOf(records, accountId, deps) },
    );
  },
});

type Lists = Readonly<Record<(typeof kinds)[number], ReturnType<typeof pageOfAll<IamRecord>>>>;

function listsOf(accountId: string, { iam }: Pick<IamDeps, 'iam'>): Lists {
  return {
    User: (limit, after) => iam.list(accountId, 'user', limit, after),
    Role: (limit, after) => iam.list(accountId, 'role', limit, after),
    Group: (limit, after) => iam.list(accountId, 'group', limit, after),
    LocalManagedPolicy: (limit, after) => iam.list(accountId, 'policy', limit, after),
    AWSManagedPolicy: pageOfAll<IamRecord>(awsManagedPolicies().map(awsRecord), ({ name }) => name),
  };
}

async function detailsOf(records: readonly IamRecord[], accountId: string, deps: IamDeps): Promise<object> {
  return {
    UserDetailList: records.filter((record) => record.kind === 'user').map((user) => userDetail(user, deps.partition)),
    GroupDetailList: records
      .filter((record) => record.kind === 'group')
      .map((group) => groupDetail(group, deps.partition)),
    RoleDetailList: await Promise.all(
      records.filter((record) => record.kind === 'role').map((role) => roleDetail(role, deps)),
    ),
    Policies: await Promise.all(
      records.filter((record) => record.kind === 'policy').map((policy) => policyDetail(policy, accountId, deps)),
    ),
  };
}

function userDetail(user: UserRecord, partition: string): object {
  return {
    ...userAnswer(user, partition),
    UserPolicyList: inlineAnswer(user),
    GroupList: user.groups,
    AttachedManagedPolicies: user.attached.map(attachedAnswer),
  };
}

function groupDetail(group: GroupRecord, partition: string): object {
  return {
    ...groupAnswer(group, partition),
    GroupPolicyList: inlineAnswer(group),
    AttachedManagedPolicies: group.attached.map(attachedAnswer),
  };
}

async function roleDetail(role: RoleRecord, deps: IamDeps): Promise<object> {
  return {
    ...(await roleAnswer(role, deps)),
    Description: undefined,
    MaxSessionDuration: undefined,
    InstanceProfileList: [],
    RolePolicyList: inlineAnswer(role),
    AttachedManagedPolicies: role.attached.map(attachedAnswer),
  };
}

async function policyDetail(policy: PolicyRecord, accountId: string, deps: IamDeps): Promise<object> {
  return {
    ...policyAnswer(policy, deps.partition, await countsOf(policy, accountId, deps)),
    Tags: undefined,
    PolicyVersionList: policy.versions.map((version) => versionAnswer(policy, version, true)),
  };
}

function inlineAnswer({ inline }: UserRecord | RoleRecord | GroupRecord): object[] {
  return inline.map(({ name, document }) => ({ PolicyName: name, PolicyDocument: encodeDocument(document) }));
}
