import type { ConditionKey } from './condition-keys.ts';
import { undecidable } from './conditions/context.ts';
import type { Principal } from './principal.ts';
import { isRoot, ownerOf } from './evaluate.ts';

/** The facts of every request that a policy can ask for. */
export interface GlobalFacts {
  readonly caller: Principal;
  readonly region: string;
  /** Empty if unknown. */
  readonly sourceIpAddress: string;
  /** Whether the request arrived over TLS. */
  readonly isSecure: boolean;
  readonly userAgent: string;
  /** Milliseconds since the epoch. */
  readonly now: number;
  /** The account that owns the resource. */
  readonly ownerId: string;
  readonly requestTags: readonly Tag[];
  /** The tags of the request's subject; undefined if that has none. */
  readonly resourceTags: readonly Tag[] | undefined;
  /** The names of the tags that the request adds or removes. */
  readonly tagKeys: readonly string[];
}

export interface Tag {
  readonly TagKey: string;
  readonly TagValue: string;
}

type Key = ConditionKey<GlobalFacts>;

export function pairsOfTags(tags: readonly Tag[] = []): [name: string, value: string][] {
  return tags.map(({ TagKey, TagValue }) => [TagKey, TagValue]);
}

/** AWS's term for the type of caller. */
function typeOf(caller: Principal): string {
  if (isRoot(caller)) return 'Account';
  // A user's path may look like either.
  const [, kind] = /^arn:[^:]+:sts::\d{12}:(assumed-role|federated-user)\//.exec(caller.arn) ?? [];
  if (kind === undefined) return 'User';
  return kind === 'assumed-role' ? 'AssumedRole' : 'FederatedUser';
}

/** For a role's session, the role's ARN. */
function principalArnOf(caller: Principal): string {
  return ownerOf({ arn: caller.arn, sessionOf: caller.session?.roleArn }) ?? caller.arn;
}

function usernameOf({ arn, userName }: Principal): string | undefined {
  return userName ?? /:user\/(?:.*\/)?([^/]+)$/.exec(arn)?.[1];
}

const ofTheCaller: readonly Key[] = [
  { name: 'aws:PrincipalArn', type: 'arn', value: ({ caller }) => principalArnOf(caller) },
  { name: 'aws:PrincipalAccount', type: 'string', value: ({ caller }) => caller.accountId },
  { name: 'aws:PrincipalType', type: 'string', value: ({ caller }) => typeOf(caller) },
  { name: 'aws:userid', type: 'string', value: ({ caller }) => caller.userId },
  { name: 'aws:username', type: 'string', value: ({ caller }) => usernameOf(caller) },
  {
    name: 'aws:PrincipalTag/',
    type: 'string',
    pairs: ({ caller: { tags = [] } }) => tags,
  },
  { name: 'aws:TokenIssueTime', type: 'date', value: ({ caller: { session } }) => session && dateOf(session.issuedAt) },
  // Nobody has a second factor here. Long-term credentials lack the key altogether.
  { name: 'aws:MultiFactorAuthPresent', type: 'bool', value: ({ caller: { session } }) => session && 'false' },
  { name: 'aws:MultiFactorAuthAge', type: 'numeric' },
  { name: 'aws:SourceIdentity', type: 'string', value: ({ caller: { session } }) => session?.sourceIdentity },
  { name: 'aws:FederatedProvider', type: 'string', value: ({ caller: { session } }) => session?.federatedProvider },
  { name: 'aws:PrincipalIsAWSService', type: 'bool', value: () => 'false' },
];

const ofTheRequest: readonly Key[] = [
  { name: 'aws:SourceIp', type: 'ip', value: ({ sourceIpAddress }) => ipOf(sourceIpAddress) || undecidable },
  { name: 'aws:SecureTransport', type: 'bool', value: ({ isSecure }) => String(isSecure) },
  { name: 'aws:UserAgent', type: 'string', value: ({ userAgent }) => userAgent || undefined },
  { name: 'aws:CurrentTime', type: 'date', value: ({ now }) => dateOf(now) },
  { name: 'aws:EpochTime', type: 'epoch', value: ({ now }) => String(Math.floor(now / 1_000)) },
  { name: 'aws:RequestedRegion', type: 'string', value: ({ region }) => region },
  { name: 'aws:RequestTag/', type: 'string', pairs: ({ requestTags }) => pairsOfTags(requestTags) },
  { name: 'aws:TagKeys', type: 'string', multivalued: true, value: ({ tagKeys }) => tagKeys },
  { name: 'aws:ViaAWSService', type: 'bool', value: () => 'false' },
];

const ofTheResource: readonly Key[] = [
  { name: 'aws:ResourceAccount', type: 'string', value: ({ ownerId }) => ownerId },
  {
    name: 'aws:ResourceTag/',
    type: 'string',
    identityOnly: true,
    pairs: ({ resourceTags }) => pairsOfTags(resourceTags),
  },
];

/** There is no organization, no VPC and no calling service; AWS has none of these keys in such a request either. */
const neverThere: readonly Key[] = [
  ...[
    'PrincipalOrgID PrincipalServiceName SourceAccount SourceOrgID SourceVpc SourceVpce VpceAccount VpceOrgID',
    'CalledViaFirst CalledViaLast CalledViaAWSMCP ResourceOrgID Ec2InstanceSourceVpc SourceOwner',
  ]
    .join(' ')
    .split(' ')
    .map((name): Key => ({ name: `aws:${name}`, type: 'string' })),
  ...[
    'PrincipalOrgPaths',
    'PrincipalServiceNamesList',
    'SourceOrgPaths',
    'ResourceOrgPaths',
    'VpceOrgPaths',
    'CalledVia',
  ].map((name): Key => ({ name: `aws:${name}`, type: 'string', multivalued: true })),
  { name: 'aws:SourceArn', type: 'arn' },
  { name: 'aws:SourceVpcArn', type: 'arn' },
  { name: 'aws:VpcSourceIp', type: 'ip' },
  { name: 'aws:Ec2InstanceSourcePrivateIPv4', type: 'ip' },
  { name: 'aws:AssumedRoot', type: 'bool' },
  { name: 'aws:ViaAWSMCPService', type: 'bool' },
  { name: 'aws:ChatbotSourceArn', type: 'arn' },
  // Set only for credentials that an AWS service gave to an instance, a function or a job.
  { name: 'ec2:RoleDelivery', type: 'numeric' },
  { name: 'ec2:SourceInstanceArn', type: 'arn' },
  { name: 'lambda:SourceFunctionArn', type: 'arn' },
  { name: 'ssm:SourceInstanceArn', type: 'arn' },
];

/** IAM User Guide, "AWS global condition context keys". */
export const globalKeys: readonly Key[] = [...ofTheCaller, ...ofTheRequest, ...ofTheResource, ...neverThere];

let lastDate = { second: Number.NaN, text: '' };

/** AWS's format: whole seconds. Formatted once for all requests within a second. */
function dateOf(milliseconds: number): string {
  const second = Math.floor(milliseconds / 1_000);
  if (second !== lastDate.second) {
    lastDate = { second, text: `${new Date(second * 1_000).toISOString().slice(0, 19)}Z` };
  }
  return lastDate.text;
}

/** An IPv4 address is written as such even if it arrived on a dual-stack socket. */
function ipOf(address: string): string {
  return /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address)?.[1] ?? address;
}
