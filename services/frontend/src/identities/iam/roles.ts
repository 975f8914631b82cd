import { defineIam } from '../query-operation.ts';
import type { RoleRecord } from '../iam-records.ts';
import { givenTrustPolicy } from '../trust-policy.ts';
import { roleAnswer } from './answers.ts';
import { assertBoundary } from '../targets.ts';
import { assertWithoutPolicies, changeRecord, insertRecord, newRecord, removeRecord } from './record-changes.ts';
import { Arn, Description, MaxSessionDuration, Path, PolicyDocument, RoleName, Tags } from './fields.ts';
import { listByPath } from './path-lists.ts';
import { alsoTagging, tagsGiven } from './tags.ts';

const DEFAULT_SESSION_SECONDS = 3600;
const named = { kind: 'role', as: 'named' } as const;

const createRole = defineIam({
  name: 'CreateRole',
  readOnly: false,
  target: { kind: 'role', as: 'made' },
  also: alsoTagging('role'),
  input: {
    Path: Path.optional(),
    RoleName,
    AssumeRolePolicyDocument: PolicyDocument,
    Description: Description.optional(),
    MaxSessionDuration: MaxSessionDuration.optional(),
    PermissionsBoundary: Arn.optional(),
    Tags: Tags.optional(),
  },
  async run({ input, call }, deps) {
    const { Path: path, RoleName: name, PermissionsBoundary: boundary } = input;
    const trust = await givenTrustPolicy(input.AssumeRolePolicyDocument, call, deps);
    await assertBoundary(deps, call.caller.accountId, boundary);
    const role: RoleRecord = {
      ...newRecord('role', { name, path }, { call, deps }),
      tags: tagsGiven(input.Tags),
      attached: [],
      inline: [],
      ...trust,
      description: input.Description ?? '',
      maxSessionSeconds: input.MaxSessionDuration ?? DEFAULT_SESSION_SECONDS,
      ...(boundary !== undefined && { boundary }),
    };
    await insertRecord(deps, role);
    return { Role: await roleAnswer(role, deps) };
  },
});

const getRole = defineIam({
  name: 'GetRole',
  readOnly: true,
  target: named,
  input: { RoleName },
  run: async ({ record }, deps) => ({ Role: await roleAnswer(record, deps) }),
});

const listRoles = listByPath('role', (role, deps) => roleAnswer(role, deps, false));

const updateRole = defineIam({
  name: 'UpdateRole',
  readOnly: false,
  target: named,
  input: { RoleName, Description: Description.optional(), MaxSessionDuration: MaxSessionDuration.optional() },
  async run({ input, record }, deps) {
    const { Description: description = record.description, MaxSessionDuration: maxSessionSeconds } = input;
    await changeRecord(deps, record, {
      description,
      maxSessionSeconds: maxSessionSeconds ?? record.maxSessionSeconds,
    });
    return {};
  },
});

/** An older form of UpdateRole. */
const updateRoleDescription = defineIam({
  name: 'UpdateRoleDescription',
  readOnly: false,
  target: named,
  input: { RoleName, Description },
  async run({ input: { Description: description }, record }, deps) {
    await changeRecord(deps, record, { description });
    return { Role: await roleAnswer({ ...record, description }, deps) };
  },
});

const updateAssumeRolePolicy = defineIam({
  name: 'UpdateAssumeRolePolicy',
  readOnly: false,
  target: named,
  input: { RoleName, PolicyDocument },
  async run({ input, call, record }, deps) {
    await changeRecord(deps, record, await givenTrustPolicy(input.PolicyDocument, call, deps));
  },
});

const deleteRole = defineIam({
  name: 'DeleteRole',
  readOnly: false,
  target: named,
  input: { RoleName },
  async run({ record }, deps) {
    assertWithoutPolicies(record);
    await removeRecord(deps, record);
  },
});

export const roleOperations = [
  createRole,
  getRole,
  listRoles,
  updateRole,
  updateRoleDescription,
  updateAssumeRolePolicy,
  deleteRole,
];
