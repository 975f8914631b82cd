import type { Caller } from '../operations/handler.ts';
import type { PrincipalSession } from '../policy/principal.ts';
import type { Identity } from './identity.ts';
import type { RoleRecord, UserRecord } from './iam-records.ts';
import type { SessionContent } from './sts-session-token.ts';

/**
 * The caller that a user's access key proves, with everything that policies may ask about it. `arn`: as `identityArn`.
 */
export function userCaller(identity: Identity<UserRecord>, arn: string, accessKeyId: string): Caller {
  const { record, policies, boundary, tags } = identity;
  const { accountId, id: userId, name: userName } = record;
  return { arn, accountId, userId, userName, accessKeyId, policies: documentsOf(policies), boundary, tags };
}

/** The caller that temporary credentials prove: a session of the role, or the user that requested them. */
export function sessionCaller(
  identity: Identity,
  arn: string,
  content: Omit<SessionContent, 'secretAccessKey'>,
): Caller {
  const { record, policies, boundary } = identity;
  const { accessKeyId, sessionName, issuedAt, sourceIdentity, federatedProvider } = content;
  const isRole = record.kind === 'role';
  const session: PrincipalSession = {
    roleArn: isRole ? arn : undefined,
    policies: content.policies,
    issuedAt,
    sourceIdentity,
    transitiveTagKeys: content.transitiveTagKeys,
    federatedProvider,
  };
  const { accountId, id, name } = record;
  return {
    arn: isRole ? sessionArn(record, arn, sessionName ?? '') : arn,
    accountId,
    userId: isRole ? `${id}:${sessionName}` : id,
    userName: isRole ? undefined : name,
    accessKeyId,
    policies: documentsOf(policies),
    boundary,
    tags: withSessionTags(identity.tags, content.tags),
    session,
  };
}

function documentsOf(policies: Identity['policies']): readonly string[] {
  return policies.map(({ document }) => document);
}

/**
 * A session's tag takes the place of its role's tag with the same key in any case (IAM User Guide, "Pass session tags
 * in AWS STS").
 */
function withSessionTags(own: Identity['tags'], given: SessionContent['tags']): ReadonlyMap<string, string> {
  const replaced = new Set(given.map(({ key }) => key.toLowerCase()));
  const kept = [...own].filter(([key]) => !replaced.has(key.toLowerCase()));
  return new Map([...kept, ...given.map(({ key, value }) => [key, value] as const)]);
}

/** `arn:<partition>:iam::<account>:<kind>/<path><name>`. */
export function identityArn(partition: string, { kind, accountId, path, name }: ArnParts): string {
  return `arn:${partition}:iam::${accountId}:${kind}${path}${name}`;
}

interface ArnParts {
  readonly kind: 'user' | 'role' | 'group' | 'policy';
  readonly accountId: string;
  readonly path: string;
  readonly name: string;
}

/** The role's path is not part of it. */
export function sessionArn({ accountId, name }: RoleRecord, roleArn: string, sessionName: string): string {
  const [, partition] = roleArn.split(':');
  return `arn:${partition}:sts::${accountId}:assumed-role/${name}/${sessionName}`;
}
