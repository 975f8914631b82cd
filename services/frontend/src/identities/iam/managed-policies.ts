import { choice, flag } from '@keyfleet/shared/api/shape';
import { awsManagedPolicies } from '../aws-managed-policies.ts';
import { defineIam } from '../query-operation.ts';
import { IAM_QUOTAS } from '../quotas.ts';
import type { PolicyRecord } from '../iam-records.ts';
import { awsRecord, partOf } from '../targets.ts';
import { policyAnswer, type PolicyCounts, versionAnswer } from './answers.ts';
import { assertQuota, changeRecord, deleteConflict, insertRecord, newRecord, removeRecord } from './record-changes.ts';
import { assertManagedPolicy } from './documents.ts';
import { Arn, Description, paging, Path, PathPrefix, PolicyDocument, PolicyName, Tags, VersionId } from './fields.ts';
import { chained, pageAnswer, pageOfAll } from './pages.ts';
import { countsOf, listEntitiesForPolicy, PolicyUsage } from './policy-uses.ts';
import { alsoTagging, tagsGiven } from './tags.ts';

const named = { kind: 'policy', as: 'named' } as const;

const createPolicy = defineIam({
  name: 'CreatePolicy',
  readOnly: false,
  target: { kind: 'policy', as: 'made' },
  also: alsoTagging('policy'),
  input: {
    PolicyName,
    Path: Path.optional(),
    PolicyDocument,
    Description: Description.optional(),
    Tags: Tags.optional(),
  },
  async run({ input, call }, deps) {
    const { PolicyName: name, Path: path, PolicyDocument: document, Description: description = '' } = input;
    assertManagedPolicy(document);
    const record = newRecord('policy', { name, path }, { call, deps });
    const { createdAt } = record;
    const policy: PolicyRecord = {
      ...record,
      updatedAt: createdAt,
      tags: tagsGiven(input.Tags),
      description,
      versions: [{ versionId: 'v1', document, createdAt }],
      defaultVersionId: 'v1',
      lastVersion: 1,
    };
    await insertRecord(deps, policy);
    return { Policy: policyAnswer(policy, deps.partition, { attachments: 0, boundaries: 0 }) };
  },
});

const getPolicy = defineIam({
  name: 'GetPolicy',
  readOnly: true,
  target: named,
  input: { PolicyArn: Arn },
  run: async ({ call, record }, deps) => ({
    Policy: policyAnswer(record, deps.partition, await countsOf(record, call.caller.accountId, deps)),
  }),
});

const listPolicies = defineIam({
  name: 'ListPolicies',
  readOnly: true,
  target: { kind: 'policy', as: 'listed' },
  input: {
    Scope: choice(['All', 'AWS', 'Local']).optional(),
    OnlyAttached: flag().optional(),
    PathPrefix: PathPrefix.optional(),
    PolicyUsageFilter: PolicyUsage.optional(),
    ...paging,
  },
  async run({ input, call }, deps) {
    const { Scope: scope = 'All', OnlyAttached: onlyAttached = false, PathPrefix: prefix = '/' } = input;
    const isUsed = ({ attachments, boundaries }: PolicyCounts): boolean =>
      (!onlyAttached || attachments > 0) &&
      (input.PolicyUsageFilter === undefined ||
        (input.PolicyUsageFilter === 'PermissionsPolicy' ? attachments : boundaries) > 0);
    const { accountId } = call.caller;
    const lists = {
      ...(scope !== 'Local' && { aws: pageOfAll(awsManagedPolicies().map(awsRecord), ({ name }) => name) }),
      ...(scope !== 'AWS' && {
        own: (limit: number, after?: string) => deps.iam.list(accountId, 'policy', limit, after),
      }),
    };
    return pageAnswer(
      input,
      {
        operation: 'ListPolicies',
        filter: JSON.stringify([scope, onlyAttached, prefix, input.PolicyUsageFilter]),
        async list(limit, after) {
          const page = await chained<PolicyRecord>(lists)(limit, after);
          const items = await Promise.all(
            page.items.map(async (policy) => ({ policy, counts: await countsOf(policy, accountId, deps) })),
          );
          return { ...page, items };
        },
      },
      {
        call,
        deps,
        named: (items) => ({
          Policies: items
            .filter(({ policy, counts }) => policy.path.startsWith(prefix) && isUsed(counts))
            .map(({ policy, counts }) => ({ ...policyAnswer(policy, deps.partition, counts), Tags: undefined })),
        }),
      },
    );
  },
});

const deletePolicy = defineIam({
  name: 'DeletePolicy',
  readOnly: false,
  target: named,
  input: { PolicyArn: Arn },
  async run({ record }, deps) {
    if (record.versions.length > 1) {
      throw deleteConflict(
        "This policy has more than one version. Before you delete a policy, you must delete the policy's versions.",
      );
    }
    await removeRecord(deps, record);
  },
});

const createPolicyVersion = defineIam({
  name: 'CreatePolicyVersion',
  readOnly: false,
  target: named,
  input: { PolicyArn: Arn, PolicyDocument, SetAsDefault: flag().optional() },
  async run({ input: { PolicyDocument: document, SetAsDefault: isDefault = false }, record }, deps) {
    assertManagedPolicy(document);
    assertQuota(record.versions.length + 1, IAM_QUOTAS.policyVersions, 'VersionsPerPolicy');
    const createdAt = deps.clock.now();
    const lastVersion = record.lastVersion + 1;
    const version = { versionId: `v${lastVersion}`, document, createdAt };
    const changed = {
      lastVersion,
      versions: [...record.versions, version],
      updatedAt: createdAt,
      defaultVersionId: isDefault ? version.versionId : record.defaultVersionId,
    };
    await changeRecord(deps, record, changed);
    return { PolicyVersion: versionAnswer({ ...record, ...changed }, version) };
  },
});

function findVersion({ versions }: PolicyRecord, versionId: string) {
  return partOf(versions, (one) => one.versionId === versionId, `Policy version ${versionId} does not exist.`);
}

const getPolicyVersion = defineIam({
  name: 'GetPolicyVersion',
  readOnly: true,
  target: named,
  input: { PolicyArn: Arn, VersionId },
  run: async ({ input, record }) => ({
    PolicyVersion: versionAnswer(record, findVersion(record, input.VersionId), true),
  }),
});

const listPolicyVersions = defineIam({
  name: 'ListPolicyVersions',
  readOnly: true,
  target: named,
  input: { PolicyArn: Arn, ...paging },
  run({ input, call, record }, deps) {
    const newestFirst = record.versions.toReversed();
    return pageAnswer(
      input,
      {
        operation: 'ListPolicyVersions',
        filter: record.id,
        list: pageOfAll(newestFirst, ({ versionId }) => versionId),
      },
      { call, deps, named: (page) => ({ Versions: page.map((version) => versionAnswer(record, version)) }) },
    );
  },
});

const setDefaultPolicyVersion = defineIam({
  name: 'SetDefaultPolicyVersion',
  readOnly: false,
  target: named,
  input: { PolicyArn: Arn, VersionId },
  async run({ input, record }, deps) {
    const { versionId: defaultVersionId } = findVersion(record, input.VersionId);
    await changeRecord(deps, record, { defaultVersionId, updatedAt: deps.clock.now() });
  },
});

const deletePolicyVersion = defineIam({
  name: 'DeletePolicyVersion',
  readOnly: false,
  target: named,
  input: { PolicyArn: Arn, VersionId },
  async run({ input, record }, deps) {
    const gone = findVersion(record, input.VersionId);
    if (gone.versionId === record.defaultVersionId) {
      throw deleteConflict('Cannot delete the default version of a policy.');
    }
    await changeRecord(deps, record, { versions: record.versions.filter((version) => version !== gone) });
  },
});

export const managedPolicyOperations = [
  createPolicy,
  getPolicy,
  listPolicies,
  deletePolicy,
  createPolicyVersion,
  getPolicyVersion,
  listPolicyVersions,
  setDefaultPolicyVersion,
  deletePolicyVersion,
  listEntitiesForPolicy,
];
