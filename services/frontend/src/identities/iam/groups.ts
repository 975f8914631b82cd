import { newIamId } from '../ids.ts';
import { QueryException } from '../query-exception.ts';
import { defineIam, type IamDeps } from '../query-operation.ts';
import { IAM_QUOTAS } from '../quotas.ts';
import type { GroupRecord } from '../iam-records.ts';
import { noSuch } from '../targets.ts';
import { groupAnswer, userAnswer } from './answers.ts';
import { assertQuota, changeRecord, deleteConflict, insertRecord, removeRecord } from './record-changes.ts';
import { GroupName, paging, Path, PathPrefix, UserName } from './fields.ts';
import { pageAnswer, pageOfAll } from './pages.ts';

const named = { kind: 'group', as: 'named' } as const;

const createGroup = defineIam({
  name: 'CreateGroup',
  readOnly: false,
  target: { kind: 'group', as: 'made' },
  input: { Path: Path.optional(), GroupName },
  async run({ input: { Path: path = '/', GroupName: name }, call: { caller } }, deps) {
    const group: GroupRecord = {
      kind: 'group',
      schemaVersion: 1,
      revision: 1,
      accountId: caller.accountId,
      name,
      path,
      id: newIamId('group'),
      createdAt: deps.clock.now(),
      attached: [],
      inline: [],
    };
    await insertRecord(deps, group);
    return { Group: groupAnswer(group, deps.partition) };
  },
});

/** Includes its users, one page at a time. */
const getGroup = defineIam({
  name: 'GetGroup',
  readOnly: true,
  target: named,
  input: { GroupName, ...paging },
  async run({ input, call, record }, deps) {
    const prefix = `member/group/${record.name.toLowerCase()}/`;
    const { accountId } = record;
    return pageAnswer(
      input,
      {
        operation: 'GetGroup',
        filter: record.id,
        async list(limit, after) {
          const { items, ...rest } = await deps.iam.listLinks(accountId, prefix, limit, after);
          const users = await Promise.all(items.map((field) => deps.iam.find(accountId, 'user', field.slice(5))));
          return { items: users.filter((user) => user !== undefined), ...rest };
        },
      },
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

const listGroups = defineIam({
  name: 'ListGroups',
  readOnly: true,
  target: { kind: 'group', as: 'listed' },
  input: { PathPrefix: PathPrefix.optional(), ...paging },
  run: ({ input, call }, deps) =>
    pageAnswer(
      input,
      {
        operation: 'ListGroups',
        filter: input.PathPrefix,
        list: (limit, after) => deps.iam.list(call.caller.accountId, 'group', limit, after),
      },
      {
        call,
        deps,
        named: (groups) => ({
          Groups: groups
            .filter(({ path }) => path.startsWith(input.PathPrefix ?? '/'))
            .map((group) => groupAnswer(group, deps.partition)),
        }),
      },
    ),
});

const deleteGroup = defineIam({
  name: 'DeleteGroup',
  readOnly: false,
  target: named,
  input: { GroupName },
  async run({ record }, deps) {
    const { inline, attached } = record;
    if (inline.length > 0) throw deleteConflict('Cannot delete entity, must delete policies first.');
    if (attached.length > 0) throw deleteConflict('Cannot delete entity, must detach all policies first.');
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
  deleteGroup,
  addUserToGroup,
  removeUserFromGroup,
  listGroupsForUser,
];
