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
import type { RoleRecord } from '../iam-records.ts';
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

/**
 * What the request asks for, given or not: once set, a source identity persists through every further role, and so do
 * tags that were made transitive. The role is asked for them as for those given, or it would get them unasked (IAM User
 * Guide, "Pass session tags in AWS STS", "Chaining roles with session tags").
 */
function withInherited(given: Input, { caller: { session, tags } }: Call): Input {
  const { sourceIdentity, transitiveTagKeys = [] } = session ?? {};
  if (sourceIdentity !== undefined && (given.SourceIdentity ?? sourceIdentity) !== sourceIdentity) {
    throw new QueryException('AccessDenied', 'SourceIdentity is already set and cannot be changed.');
  }
  const inherited = transitiveTagKeys.flatMap((key) => (tags?.has(key) ? [{ Key: key, Value: tags.get(key)! }] : []));
  const Tags = [...(given.Tags ?? []), ...inherited];
  const asked = { ...given, Tags, TransitiveTagKeys: [...(given.TransitiveTagKeys ?? []), ...transitiveTagKeys] };
  assertTransitive(given, inherited);
  return sourceIdentity === undefined ? asked : { ...asked, SourceIdentity: sourceIdentity };
}

/** Throws InvalidParameterValue for another value of an inherited tag, or for a transitive key without a tag. */
function assertTransitive({ Tags: tags = [], TransitiveTagKeys: keys = [] }: Input, inherited: typeof tags): void {
  const namesOf = (some: typeof tags): string[] => some.map(({ Key }) => Key.toLowerCase());
  const [given, fixed] = [new Set(namesOf(tags)), new Set(namesOf(inherited))];
  if (!given.isDisjointFrom(fixed)) {
    throw new QueryException(
      'InvalidParameterValue',
      "One of the specified transitive tag keys can't be set because it conflicts with a transitive tag key from the calling session.",
    );
  }
  const all = given.union(fixed);
  if (keys.every((key) => all.has(key.toLowerCase()))) return;
  throw new QueryException(
    'InvalidParameterValue',
    'The specified transitive tag key must be included in the requested tags.',
  );
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
  const tags = tagsGiven(given.Tags);
  const transitive = new Set(given.TransitiveTagKeys?.map((key) => key.toLowerCase()));
  const session = {
    seconds: durationOf(given, role, isChained),
    policies: await sessionPolicies(given, role.accountId, deps),
    tags,
    transitiveTagKeys: tags.map(({ key }) => key).filter((key) => transitive.has(key.toLowerCase())),
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

function notAuthorized({ caller }: Call, action: string, resource: string): KmsException {
  const message = `User: ${caller.arn} is not authorized to perform: ${action} on resource: ${resource}`;
  return new QueryException('AccessDenied', message);
}
