import type { UserRecord } from '../iam-records.ts';
import { newIamId } from '../ids.ts';
import { defineIam } from '../query-operation.ts';
import { userAnswer } from './answers.ts';
import { assertBoundary } from '../targets.ts';
import { authorizeRenamed, changeRecord, deleteConflict, insertRecord, removeRecord } from './record-changes.ts';
import { Arn, paging, Path, PathPrefix, Tags, UserName } from './fields.ts';
import { pageAnswer } from './pages.ts';
import { alsoTagging, tagsGiven } from './tags.ts';

const createUser = defineIam({
  name: 'CreateUser',
  readOnly: false,
  target: { kind: 'user', as: 'made' },
  also: alsoTagging('user'),
  input: { Path: Path.optional(), UserName, PermissionsBoundary: Arn.optional(), Tags: Tags.optional() },
  async run({ input, call: { caller } }, deps) {
    const { Path: path = '/', UserName: name, PermissionsBoundary: boundary } = input;
    await assertBoundary(deps, caller.accountId, boundary);
    const user: UserRecord = {
      kind: 'user',
      schemaVersion: 1,
      revision: 1,
      accountId: caller.accountId,
      name,
      path,
      id: newIamId('user'),
      createdAt: deps.clock.now(),
      tags: tagsGiven(input.Tags),
      groups: [],
      attached: [],
      inline: [],
      accessKeys: [],
      ...(boundary !== undefined && { boundary }),
    };
    await insertRecord(deps, user);
    return { User: userAnswer(user, deps.partition) };
  },
});

const getUser = defineIam({
  name: 'GetUser',
  readOnly: true,
  target: { kind: 'user', as: 'own' },
  input: { UserName: UserName.optional() },
  run: async ({ record }, { partition }) => ({ User: userAnswer(record, partition) }),
});

const listUsers = defineIam({
  name: 'ListUsers',
  readOnly: true,
  target: { kind: 'user', as: 'listed' },
  input: { PathPrefix: PathPrefix.optional(), ...paging },
  run: ({ input, call }, deps) =>
    pageAnswer(
      input,
      {
        operation: 'ListUsers',
        filter: input.PathPrefix,
        list: (limit, after) => deps.iam.list(call.caller.accountId, 'user', limit, after),
      },
      {
        call,
        deps,
        named: (users) => ({
          Users: users
            .filter(({ path }) => path.startsWith(input.PathPrefix ?? '/'))
            .map((user) => userAnswer(user, deps.partition, false)),
        }),
      },
    ),
});

const updateUser = defineIam({
  name: 'UpdateUser',
  readOnly: false,
  target: { kind: 'user', as: 'named' },
  input: { UserName, NewPath: Path.optional(), NewUserName: UserName.optional() },
  async run(admitted, deps) {
    const { input, record } = admitted;
    const { NewPath: path = record.path, NewUserName: name = record.name } = input;
    authorizeRenamed(admitted, { path, name }, deps);
    await changeRecord(deps, record, { path, name });
  },
});

const deleteUser = defineIam({
  name: 'DeleteUser',
  readOnly: false,
  target: { kind: 'user', as: 'named' },
  input: { UserName },
  async run({ record }, deps) {
    const { accessKeys, inline, attached, groups } = record;
    if (accessKeys.length > 0) throw deleteConflict('Cannot delete entity, must delete access keys first.');
    if (inline.length > 0) throw deleteConflict('Cannot delete entity, must delete policies first.');
    if (attached.length > 0) throw deleteConflict('Cannot delete entity, must detach all policies first.');
    if (groups.length > 0) throw deleteConflict('Cannot delete entity, must remove users from group first.');
    await removeRecord(deps, record);
  },
});

export const userOperations = [createUser, getUser, listUsers, updateUser, deleteUser];
