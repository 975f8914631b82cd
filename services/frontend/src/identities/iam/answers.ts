import { identityArn } from '../callers.ts';
import { policyNameOf } from '../identity.ts';
import { shownPolicy } from '../../policy/bound-policy.ts';
import type { IamDeps } from '../query-operation.ts';
import type { GroupRecord, IamTag, PolicyRecord, RoleRecord, UserRecord } from '../iam-records.ts';

/** Records in the form of answers, with the members of AWS's model in its order. */

export function userAnswer(user: UserRecord, partition: string, withAll = true): object {
  const { path, name, id, createdAt, boundary, tags } = user;
  return {
    Path: path,
    UserName: name,
    UserId: id,
    Arn: identityArn(partition, user),
    CreateDate: new Date(createdAt),
    ...(withAll && { PermissionsBoundary: boundaryAnswer(boundary), Tags: tagsAnswer(tags) }),
  };
}

export async function roleAnswer(
  role: RoleRecord,
  { partition, users }: Pick<IamDeps, 'partition' | 'users'>,
  withAll = true,
): Promise<object> {
  const { path, name, id, createdAt, description, maxSessionSeconds, boundary, tags } = role;
  const bound = { document: role.trustPolicy, principals: role.trustPrincipals };
  const trustPolicy = await shownPolicy(bound, users, role.accountId);
  return {
    Path: path,
    RoleName: name,
    RoleId: id,
    Arn: identityArn(partition, role),
    CreateDate: new Date(createdAt),
    AssumeRolePolicyDocument: encodeDocument(trustPolicy),
    Description: description === '' ? undefined : description,
    MaxSessionDuration: maxSessionSeconds,
    ...(withAll && { PermissionsBoundary: boundaryAnswer(boundary), Tags: tagsAnswer(tags) }),
  };
}

export function groupAnswer(group: GroupRecord, partition: string): object {
  const { path, name, id, createdAt } = group;
  return {
    Path: path,
    GroupName: name,
    GroupId: id,
    Arn: identityArn(partition, group),
    CreateDate: new Date(createdAt),
  };
}

export function policyAnswer(policy: PolicyRecord, partition: string, counts?: PolicyCounts): object {
  const { name, id, path, defaultVersionId, description, createdAt, updatedAt, tags } = policy;
  return {
    PolicyName: name,
    PolicyId: id,
    Arn: identityArn(partition, policy),
    Path: path,
    DefaultVersionId: defaultVersionId,
    AttachmentCount: counts?.attachments,
    PermissionsBoundaryUsageCount: counts?.boundaries,
    IsAttachable: true,
    Description: description === '' ? undefined : description,
    CreateDate: new Date(createdAt),
    UpdateDate: new Date(updatedAt),
    Tags: tagsAnswer(tags),
  };
}

export interface PolicyCounts {
  readonly attachments: number;
  readonly boundaries: number;
}

export function versionAnswer(
  { defaultVersionId }: PolicyRecord,
  { versionId, document, createdAt }: PolicyRecord['versions'][number],
  withDocument = false,
): object {
  return {
    Document: withDocument ? encodeDocument(document) : undefined,
    VersionId: versionId,
    IsDefaultVersion: versionId === defaultVersionId,
    CreateDate: new Date(createdAt),
  };
}

/** A managed policy that is attached, by its ARN. */
export function attachedAnswer(PolicyArn: string): object {
  return { PolicyName: policyNameOf(PolicyArn), PolicyArn };
}

function boundaryAnswer(boundary: string | undefined): object | undefined {
  return boundary === undefined
    ? undefined
    : { PermissionsBoundaryType: 'PermissionsBoundaryPolicy', PermissionsBoundaryArn: boundary };
}

export function tagsAnswer(tags: readonly IamTag[]): object[] {
  return tags.map(({ key, value }) => ({ Key: key, Value: value }));
}

/** Percent-encodes as RFC 3986 defines, as IAM does for every document that it returns. */
export function encodeDocument(document: string): string {
  return encodeURIComponent(document).replaceAll(/[!'()*]/g, (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`);
}
