import type { Call } from '../operations/handler.ts';
import { authorize } from '../policy/authorize.ts';
import { ConditionKeys } from '../policy/condition-keys.ts';
import type { AccessRequest } from '../policy/evaluate.ts';
import { type GlobalFacts, globalKeys, pairsOfTags, type Tag } from '../policy/global-keys.ts';
import type { IamDeps } from './query-operation.ts';
import type { IamRecord } from './iam-records.ts';

/** The facts of an IAM or STS request that a policy can ask for. */
export interface IamFacts extends GlobalFacts {
  readonly input: Readonly<Record<string, unknown>>;
  readonly action: string;
  /** ARN of the boundary of the user or role that the request is about. */
  readonly boundary?: string | undefined;
}

type Input = IamFacts['input'];

const textOf =
  (...members: string[]) =>
  ({ input }: IamFacts) => {
    const given = members.map((member) => input[member]).find((value) => value !== undefined);
    return given === undefined ? undefined : String(given as string | number);
  };

const changesPermissions = /^iam:(?:Attach|Detach|Put|Delete)(?:User|Role)(?:Policy|PermissionsBoundary)$/;

/** The boundary that the request gives or, for a request that changes somebody's permissions, their present one. */
function boundaryOf(facts: IamFacts): string | undefined {
  return textOf('PermissionsBoundary')(facts) ?? (changesPermissions.test(facts.action) ? facts.boundary : undefined);
}

/** Service Authorization Reference, "Condition keys" of IAM and STS: those that a request here can have. */
export const iamKeys = new ConditionKeys<IamFacts>([
  ...globalKeys,
  { name: 'iam:PolicyARN', type: 'arn', value: textOf('PolicyArn') },
  { name: 'iam:PermissionsBoundary', type: 'string', value: boundaryOf },
  { name: 'iam:ResourceTag/', type: 'string', pairs: ({ resourceTags }) => pairsOfTags(resourceTags) },
  { name: 'sts:ExternalId', type: 'string', value: textOf('ExternalId') },
  { name: 'sts:RoleSessionName', type: 'string', value: textOf('RoleSessionName') },
  { name: 'sts:SourceIdentity', type: 'string', value: textOf('SourceIdentity') },
  { name: 'sts:DurationSeconds', type: 'numeric', value: textOf('DurationSeconds') },
  {
    name: 'sts:TransitiveTagKeys',
    type: 'string',
    multivalued: true,
    value: ({ input }) => (input['TransitiveTagKeys'] as readonly string[] | undefined) ?? [],
  },
]);

export interface Asking {
  readonly call: Omit<Call, 'alias'>;
  readonly input: Input;
  readonly action: string;
  readonly resource: string;
  readonly ownerId: string;
  readonly resourceTags?: readonly Tag[] | undefined;
  readonly boundary?: string | undefined;
  /** For a role: who may assume it. */
  readonly trustPolicy?: AccessRequest['keyPolicy'];
}

export function resourceTagsOf(record: IamRecord | undefined): readonly Tag[] | undefined {
  if (record === undefined || record.kind === 'group') return undefined;
  return record.tags.map(({ key: TagKey, value: TagValue }) => ({ TagKey, TagValue }));
}

export function factsOf({ call, input, action, ownerId, resourceTags, boundary }: Asking, now: number): IamFacts {
  const { caller, region, sourceIpAddress, isSecure, userAgent } = call;
  const given = (input['Tags'] as readonly { Key: string; Value: string }[] | undefined) ?? [];
  const requestTags = given.map(({ Key: TagKey, Value: TagValue }) => ({ TagKey, TagValue }));
  return {
    caller,
    region,
    sourceIpAddress,
    isSecure,
    userAgent,
    now,
    ownerId,
    requestTags,
    resourceTags,
    tagKeys: (input['TagKeys'] as readonly string[] | undefined) ?? requestTags.map(({ TagKey }) => TagKey),
    input,
    action,
    boundary,
  };
}

export function accessRequestOf(
  asking: Asking,
  { policies, clock }: Pick<IamDeps, 'policies' | 'clock'>,
): AccessRequest {
  const { call, action, resource, ownerId, trustPolicy } = asking;
  return {
    requester: policies.requester(call.caller),
    action,
    resource,
    ownerId,
    keyPolicy: trustPolicy,
    context: iamKeys.contextOf(factsOf(asking, clock.now())),
  };
}

/** Throws AccessDeniedException with AWS's sentence unless the caller's own policies allow the action. */
export function authorizeIam(asking: Asking, deps: Pick<IamDeps, 'policies' | 'clock'>): void {
  authorize(accessRequestOf(asking, deps));
}
