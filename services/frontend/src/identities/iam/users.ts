import type { UserRecord } from '../iam-records.ts';
import { defineIam } from '../query-operation.ts';
import { userAnswer } from './answers.ts';
import { assertBoundary } from '../targets.ts';
import {
  assertWithoutPolicies,
  authorizeRenamed,
  changeRecord,
  deleteConflict,
  insertRecord,
  newRecord,
  removeRecord,
} from './record-changes.ts';
import { Arn, Path, Tags, UserName } from './fields.ts';
import { listByPath } from './path-lists.ts';
import { alsoTagging, tagsGiven } from './tags.ts';

const createUser = defineIam({
  name: 'CreateUser',
  readOnly: false,
  target: { kind: 'user', as: 'made' },
  also: alsoTagging('user'),
  input: { Path: Path.optional(), UserName, PermissionsBoundary: Arn.optional(), Tags: Tags.optional() },
  async run({ input, call }, deps) {
    const { Path: path, UserName: name, PermissionsBoundary: boundary } = input;
    await assertBoundary(deps, call.caller.accountId, boundary);
    const user: UserRecord = {
      ...newRecord('user', { name, path }, { call, deps }),
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

const listUsers = listByPath('user', (user, { partition }) => userAnswer(user, partition, false));

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
    const { accessKeys, groups } = record;
    if (accessKeys.length > 0) throw deleteConflict('Cannot delete entity, must delete access keys first.');
    assertWithoutPolicies(record);
    if (groups.length > 0) throw deleteConflict('Cannot delete entity, must remove users from group first.');
    await removeRecord(deps, record);
  },
});

export const userOperations = [createUser, getUser, listUsers, updateUser, deleteUser];
