import { text } from '@keyfleet/shared/api/shape';
import type { KmsException } from '@keyfleet/shared/errors/exceptions';
import { z } from 'zod';
import type { Call } from '../../operations/handler.ts';
import { evaluate } from '../../policy/evaluate.ts';
import { accessRequestOf, resourceTagsOf } from '../access.ts';
import { Arn, Tags } from '../iam/fields.ts';
import { tagsGiven } from '../iam/tags.ts';
import { QueryException } from '../query-exception.ts';
import type { Admitted, IamDeps, QueryOperation } from '../query-operation.ts';
import type { IamTag, RoleRecord } from '../iam-records.ts';
import { parseTrustPolicy } from '../trust-policy.ts';
import {
  assumedRole,
  durationOf,
  findRole,
  limits,
  newCredentials,
  RoleSessionName,
  sessionPolicies,
  SourceIdentity,
  TransitiveTagKeys,
} from './sessions.ts';

const input = z.object({
  RoleArn: Arn,
  RoleSessionName,
  ...limits,
  Tags: Tags.optional(),
  TransitiveTagKeys: TransitiveTagKeys.optional(),
  ExternalId: text({ min: 2, max: 1224, pattern: String.raw`[\w+=,.@:\/-]*` }).optional(),
  SourceIdentity: SourceIdentity.optional(),
});
type Input = z.output<typeof input>;

/**
 * Both sides decide: the role's trust policy and, if that names only the account or a caller from another one, the
 * caller's own policies.
 */
export const assumeRole: QueryOperation = {
  service: 'sts',
  name: 'AssumeRole',
  readOnly: false,
  target: undefined,
  input,
  async run(admitted, deps) {
    const { input: given, call } = admitted as object as Admitted<Input, 'role'>;
    const { caller } = call;
    const role = await findRole(deps, given.RoleArn);
    const asked = withInherited(given, call);
    const resourceTags = resourceTagsOf(role);
    const trustPolicy = role && parseTrustPolicy(role.trustPolicy);
    for (const action of actionsOf(asked)) {
      const isAllowed =
        role !== undefined &&
        evaluate(
          accessRequestOf(
            {
              call,
              input: asked,
              action,
              resource: given.RoleArn,
              ownerId: role.accountId,
              resourceTags,
              trustPolicy,
            },
            deps,
          ),
        ) === 'allowed';
      // One text for all cases, so that nobody learns which roles exist.
      if (!isAllowed) throw notAuthorized(call, action, given.RoleArn);
    }
    return newRoleSession(role!, asked, { call, deps, isChained: caller.session?.roleArn !== undefined });
  },
};

/** Once set, a source identity persists through every further role; so do tags that were made transitive. */
function withInherited(given: Input, { caller }: Call): Input {
  const inherited = caller.session?.sourceIdentity;
  if (inherited === undefined) return given;
  if (given.SourceIdentity !== undefined && given.SourceIdentity !== inherited) {
    throw new QueryException('AccessDenied', 'SourceIdentity is already set and cannot be changed.');
  }
  return { ...given, SourceIdentity: inherited };
}

/** AWS requires a separate permission for each thing that a session is given. */
function actionsOf({ Tags: tags = [], SourceIdentity: sourceIdentity }: Input): readonly string[] {
  return [
    'sts:AssumeRole',
    ...(tags.length > 0 ? ['sts:TagSession'] : []),
    ...(sourceIdentity !== undefined ? ['sts:SetSourceIdentity'] : []),
  ];
}

async function newRoleSession(
  role: RoleRecord,
  given: Input,
  { call, deps, isChained }: { readonly call: Call; readonly deps: IamDeps; readonly isChained: boolean },
): Promise<object> {
  const tags = withTransitive(tagsGiven(given.Tags), call);
  const session = {
    seconds: durationOf(given, role, isChained),
    policies: await sessionPolicies(given, role.accountId, deps),
    tags,
    transitiveTagKeys: [
      ...new Set([...(given.TransitiveTagKeys ?? []), ...(call.caller.session?.transitiveTagKeys ?? [])]),
    ],
    sessionName: given.RoleSessionName,
    sourceIdentity: given.SourceIdentity,
  };
  const { credentials, packedPolicySize } = await newCredentials(role, session, { call, deps });
  return {
    Credentials: credentials,
    AssumedRoleUser: assumedRole(role, given.RoleSessionName, deps.partition),
    PackedPolicySize: packedPolicySize,
    SourceIdentity: given.SourceIdentity,
  };
}

/** Throws InvalidInput for a tag that the caller's session made transitive and that is given a different value. */
function withTransitive(given: readonly IamTag[], { caller: { session, tags } }: Call): readonly IamTag[] {
  const keys = session?.transitiveTagKeys ?? [];
  if (given.some(({ key }) => keys.some((transitive) => transitive.toLowerCase() === key.toLowerCase()))) {
    throw new QueryException('InvalidInput', 'One of the specified transitive tag keys can not be set.');
  }
  return [...given, ...keys.flatMap((key) => (tags?.has(key) ? [{ key, value: tags.get(key)! }] : []))];
}

export function notAuthorized({ caller }: Call, action: string, resource: string): KmsException {
  const message = `User: ${caller.arn} is not authorized to perform: ${action} on resource: ${resource}`;
  return new QueryException('AccessDenied', message);
}
