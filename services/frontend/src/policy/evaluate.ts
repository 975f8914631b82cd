import type { Policy, Statement } from './document.ts';

/** Who asks, as policies see it. */
export interface Requester {
  readonly arn: string;
  readonly accountId: string;
  readonly identityPolicies: readonly Policy[];
}

export interface AccessRequest {
  readonly requester: Requester;
  /** As `kms:Encrypt`. */
  readonly action: string;
  /** ARN of a key or an alias; `*` for what has no resource. */
  readonly resource: string;
  /** The key's own policy, if the resource is a key. */
  readonly keyPolicy?: Policy;
}

/** `allowed`, or why not: the tail of AWS's sentence. */
export type Decision =
  'allowed' | 'deny-in-key-policy' | 'deny-in-identity-policy' | 'no-key-policy' | 'no-identity-policy';

/**
 * Default deny; an explicit Deny wins over everything. A key policy that names the caller suffices; one that names only the
 * account lets the caller's identity policies decide. The caller belongs to the key's account. Pure.
 * Source: AWS KMS Developer Guide "Policy evaluation".
 */
export function evaluate(request: AccessRequest): Decision {
  const { requester, keyPolicy } = request;
  const inKeyPolicy = keyPolicy ? evaluateKeyPolicy(keyPolicy, request) : 'delegated';
  if (inKeyPolicy === 'denied') return 'deny-in-key-policy';

  const byIdentity = evaluateIdentityPolicies(requester.identityPolicies, request);
  if (byIdentity === 'denied') return 'deny-in-identity-policy';

  if (inKeyPolicy === 'allowed') return 'allowed';
  if (inKeyPolicy === 'silent') return 'no-key-policy';
  return byIdentity === 'allowed' || isRoot(requester) ? 'allowed' : 'no-identity-policy';
}

/** What a key policy says of a request by itself; `delegated`: it leaves the answer to the account's identity policies. */
export function evaluateKeyPolicy(
  policy: Policy,
  request: Pick<AccessRequest, 'requester' | 'action' | 'resource'>,
): 'denied' | 'allowed' | 'delegated' | 'silent' {
  let answer: 'allowed' | 'delegated' | 'silent' = 'silent';
  for (const statement of policy.statements) {
    const match = matchPrincipal(statement, request.requester);
    if (match === 'none' || !concerns(statement, request)) continue;
    // To deny, naming the account is enough: it means everybody in it.
    if (statement.effect === 'Deny') return 'denied';
    if (statement.conditional) continue;
    if (match === 'caller') answer = 'allowed';
    else if (answer === 'silent') answer = 'delegated';
  }
  return answer;
}

function evaluateIdentityPolicies(
  policies: readonly Policy[],
  request: Pick<AccessRequest, 'action' | 'resource'>,
): 'denied' | 'allowed' | 'silent' {
  let answer: 'allowed' | 'silent' = 'silent';
  for (const { statements } of policies) {
    for (const statement of statements) {
      if (!concerns(statement, request)) continue;
      if (statement.effect === 'Deny') return 'denied';
      if (!statement.conditional) answer = 'allowed';
    }
  }
  return answer;
}

function concerns(statement: Statement, { action, resource }: Pick<AccessRequest, 'action' | 'resource'>): boolean {
  return statement.matchesAction(action) && statement.matchesResource(resource);
}

function matchPrincipal({ principals }: Statement, requester: Requester): 'caller' | 'account' | 'none' {
  if (!principals) return 'none';
  if (principals.everyone || principals.arns.has(requester.arn)) return 'caller';
  const role = roleOf(requester.arn);
  if (role !== undefined && principals.arns.has(role)) return 'caller';
  if (!principals.accounts.has(requester.accountId)) return 'none';
  return isRoot(requester) ? 'caller' : 'account';
}

/** The role's ARN of an assumed-role session: naming the role names its sessions. */
function roleOf(arn: string): string | undefined {
  const [, partition, account, role] = /^arn:([^:]+):sts::(\d{12}):assumed-role\/([^/]+)\//.exec(arn) ?? [];
  return role === undefined ? undefined : `arn:${partition}:iam::${account}:role/${role}`;
}

function isRoot({ arn, accountId }: Requester): boolean {
  return arn.endsWith(`:iam::${accountId}:root`);
}
