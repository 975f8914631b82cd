import { QueryException } from '../query-exception.ts';
import { defineIam, type IamDeps } from '../query-operation.ts';
import { IAM_QUOTAS } from '../quotas.ts';
import type { Page } from '../../store/store.ts';
import type { IamChange } from '../iam-store.ts';
import type { GroupRecord, UserRecord } from '../iam-records.ts';
import { noSuch } from '../targets.ts';
import { groupAnswer, userAnswer } from './answers.ts';
import {
  assertQuota,
  assertWithoutPolicies,
  authorizeRenamed,
  changeRecord,
  insertRecord,
  newRecord,
  removeRecord,
} from './record-changes.ts';
import { GroupName, paging, Path, UserName } from './fields.ts';
import { pageAnswer, pageOfAll } from './pages.ts';
import { listByPath } from './path-lists.ts';

const named = { kind: 'group', as: 'named' } as const;

const createGroup = defineIam({
  name: 'CreateGroup',
  readOnly: false,
  target: { kind: 'group', as: 'made' },
  input: { Path: Path.optional(), GroupName },
  async run({ input: { Path: path, GroupName: name }, call }, deps) {
    const group: GroupRecord = {
      ...newRecord('group', { name, path }, { call, deps }),
      attached: [],
      inline: [],
    };
    await insertRecord(deps, group);
    return { Group: groupAnswer(group, deps.partition) };
  },
});

async function membersOf(
  { accountId, name }: GroupRecord,
  { iam }: Pick<IamDeps, 'iam'>,
  limit: number,
  after?: string,
): Promise<Page<UserRecord>> {
  const { items, ...rest } = await iam.listLinked(accountId, `member/group/${name.toLowerCase()}/`, limit, after);
  return { items: items.filter((member) => member.kind === 'user'), ...rest };
}

/** Includes its users, one page at a time. */
const getGroup = defineIam({
  name: 'GetGroup',
  readOnly: true,
  target: named,
  input: { GroupName, ...paging },
  async run({ input, call, record }, deps) {
    return pageAnswer(
      input,
      { operation: 'GetGroup', filter: record.id, list: (limit, after) => membersOf(record, deps, limit, after) },
      {
        call,
        deps,
        named: (users) => ({
          Group: groupAnswer(record, deps.partition),
          Users: users.map((user) => userAnswer(user, deps.partition, false)),
        }),
      },
    );
  },
});

const listGroups = listByPath('group', (group, { partition }) => groupAnswer(group, partition));

/** Its users know it by name: their records change in the same step, and so nobody is ever without its permissions. */
const updateGroup = defineIam({
  name: 'UpdateGroup',
  readOnly: false,
  target: named,
  input: { GroupName, NewPath: Path.optional(), NewGroupName: GroupName.optional() },
  async run(admitted, deps) {
    const { input, record } = admitted;
    const { NewPath: path = record.path, NewGroupName: name = record.name } = input;
    authorizeRenamed(admitted, { path, name }, deps);
    const members: IamChange[] = [];
    for await (const users of isSame(name, record.name) ? [] : allMembersOf(record, deps)) {
      members.push(...users.map((before) => ({ before, record: { ...before, groups: renamed(before.groups) } })));
      assertQuota(members.length, IAM_QUOTAS.usersOfRenamedGroup, 'UsersPerRenamedGroup');
    }
    await changeRecord(deps, record, { path, name }, ...members);

    function renamed(groups: readonly string[]): readonly string[] {
      return groups.map((group) => (isSame(group, record.name) ? name : group));
    }
  },
});

/** Few at a time: each page delays others for milliseconds. */
async function* allMembersOf(group: GroupRecord, deps: Pick<IamDeps, 'iam'>): AsyncGenerator<readonly UserRecord[]> {
  let after: string | undefined;
  do {
    const { items, next } = await membersOf(group, deps, 100, after);
    yield items;
    after = next;
  } while (after !== undefined);
}

const deleteGroup = defineIam({
  name: 'DeleteGroup',
  readOnly: false,
  target: named,
  input: { GroupName },
  async run({ record }, deps) {
    assertWithoutPolicies(record);
    await removeRecord(deps, record);
  },
});

async function userNamed(name: string, { accountId }: GroupRecord, { iam }: Pick<IamDeps, 'iam'>) {
  const user = await iam.find(accountId, 'user', name);
  if (user === undefined) throw noSuch('user', name);
  return user;
}

/** Membership is stored in the user's record. */
const addUserToGroup = defineIam({
  name: 'AddUserToGroup',
  readOnly: false,
  target: named,
  input: { GroupName, UserName },
  async run({ input, record: group }, deps) {
    const user = await userNamed(input.UserName, group, deps);
    if (user.groups.some((name) => isSame(name, group.name))) return;
    const groups = [...user.groups, group.name];
    assertQuota(groups.length, IAM_QUOTAS.groupsPerUser, 'GroupsPerUser');
    await changeRecord(deps, user, { groups });
  },
});

const removeUserFromGroup = defineIam({
  name: 'RemoveUserFromGroup',
  readOnly: false,
  target: named,
  input: { GroupName, UserName },
  async run({ input, record: group }, deps) {
    const user = await userNamed(input.UserName, group, deps);
    const groups = user.groups.filter((name) => !isSame(name, group.name));
    if (groups.length === user.groups.length) {
      throw new QueryException('NoSuchEntity', `The user ${user.name} is not in the group ${group.name}.`);
    }
    await changeRecord(deps, user, { groups });
  },
});

const listGroupsForUser = defineIam({
  name: 'ListGroupsForUser',
  readOnly: true,
  target: { kind: 'user', as: 'named' },
  input: { UserName, ...paging },
  async run({ input, call, record }, deps) {
    const found = await Promise.all(record.groups.map((name) => deps.iam.find(record.accountId, 'group', name)));
    const groups = found.filter((group) => group !== undefined);
    return pageAnswer(
      input,
      { operation: 'ListGroupsForUser', filter: record.id, list: pageOfAll(groups, ({ id }) => id) },
      { call, deps, named: (page) => ({ Groups: page.map((group) => groupAnswer(group, deps.partition)) }) },
    );
  },
});

function isSame(one: string, other: string): boolean {
  return one.toLowerCase() === other.toLowerCase();
}

export const groupOperations = [
  createGroup,
  getGroup,
  listGroups,
  updateGroup,
  deleteGroup,
  addUserToGroup,
  removeUserFromGroup,
  listGroupsForUser,
];
