import type { Effect } from './conditions/condition.ts';
import type { RequestContext } from './conditions/context.ts';
import type { Policy, Statement } from './document.ts';
import type { Principals } from './principals.ts';

/** Who asks, as far as a Principal can name them. */
export interface Nameable {
  readonly arn: string;
  readonly accountId: string;
  /** IAM's unique id, as `aws:userid` has it; who is vouched for by others has none. */
  readonly userId?: string | undefined;
  /** Whose session it is: the ARN of the role that was assumed, or of the user who federated. */
  readonly sessionOf?: string | undefined;
}

/** Who asks, as policies see it. */
export interface Requester extends Nameable {
  readonly identityPolicies: readonly Policy[];
  /** What the identity policies may allow at most. */
  readonly boundary?: Policy | undefined;
  /** What the session may at most: one of them must allow it. undefined: it was given none. */
  readonly sessionPolicies?: readonly Policy[] | undefined;
}

export interface AccessRequest {
  readonly requester: Requester;
  /** As `kms:Encrypt`. */
  readonly action: string;
  /** ARN of a key or an alias; `*` for what has no resource. */
  readonly resource: string;
  /** The account that the resource belongs to. */
  readonly ownerId: string;
  /** The key's own policy, if the resource is a key. */
  readonly keyPolicy?: Policy | undefined;
  /** How the grant that allows it names who asks, if one does; counts only where no policy decides. */
  readonly grantee?: Grantee | undefined;
  readonly context: RequestContext;
}

/** As a key policy does: a grant to a role lets in its sessions within their boundary and session policies. */
export type Grantee = Extract<Naming, 'caller' | 'session-owner'>;

type Asked = Pick<AccessRequest, 'action' | 'resource' | 'context'>;

/** `allowed`, or why not: the tail of AWS's sentence. */
export type Decision =
  | 'allowed'
  | 'deny-in-key-policy'
  | 'deny-in-identity-policy'
  | 'deny-in-boundary'
  | 'deny-in-session-policy'
  | 'no-key-policy'
  | 'no-identity-policy'
  | 'no-boundary'
  | 'no-session-policy';

/** Whether nothing denies and nothing allows: the rest may still. */
export function isImplicit(decision: Decision): boolean {
  return decision.startsWith('no-');
}

/**
 * Default deny. An explicit Deny of any policy wins over everything, grants too. Then whoever the key policy names is
 * let in; who is named by their account only is, if their own policies say so; so is a foreigner, whom both sides must
 * let in. Pure. Sources: AWS KMS Developer Guide "Policy evaluation", IAM User Guide "Policy evaluation logic";
 * docs/authorization.md.
 */
export function evaluate(request: AccessRequest): Decision {
  const { requester, ownerId, keyPolicy } = request;
  const byKeyPolicy = keyPolicy ? evaluateKeyPolicy(keyPolicy, request) : 'account';
  if (byKeyPolicy === 'denied') return 'deny-in-key-policy';
  // What a foreigner's own policies say of a key must not tell them that it is there.
  if (byKeyPolicy === 'none' && requester.accountId !== ownerId && request.grantee === undefined)
    return 'no-key-policy';
  const byIdentity = evaluateOwnPolicies(requester.identityPolicies, request);
  if (byIdentity === 'denied') return 'deny-in-identity-policy';
  const byBoundary = requester.boundary ? evaluateOwnPolicies([requester.boundary], request) : 'allowed';
  if (byBoundary === 'denied') return 'deny-in-boundary';
  const bySession = requester.sessionPolicies ? evaluateOwnPolicies(requester.sessionPolicies, request) : 'allowed';
  if (bySession === 'denied') return 'deny-in-session-policy';

  const answers = { byKeyPolicy, byIdentity, byBoundary, bySession };
  const decision = decideOnAllows(request, answers);
  if (decision === 'allowed' || request.grantee === undefined) return decision;
  return request.grantee === 'caller' ? 'allowed' : decideOnLimits(answers);
}

type OwnAnswer = 'allowed' | 'silent';

interface Answers {
  readonly byKeyPolicy: Naming;
  readonly byIdentity: OwnAnswer;
  readonly byBoundary: OwnAnswer;
  readonly bySession: OwnAnswer;
}

function decideOnAllows({ requester, ownerId }: AccessRequest, answers: Answers): Decision {
  const { byKeyPolicy, byIdentity } = answers;
  const isForeign = requester.accountId !== ownerId;
  if (byKeyPolicy === 'none') return 'no-key-policy';
  if (byKeyPolicy === 'caller' && !isForeign) return 'allowed';
  const needsIdentity = byKeyPolicy === 'account' || isForeign;
  if (needsIdentity && byIdentity !== 'allowed' && !isRoot(requester)) return 'no-identity-policy';
  return decideOnLimits(answers);
}

/** What bounds a session that is let in by the name of its role. */
function decideOnLimits({ byBoundary, bySession }: Answers): Decision {
  if (byBoundary !== 'allowed') return 'no-boundary';
  return bySession === 'allowed' ? 'allowed' : 'no-session-policy';
}

const strength = { none: 0, account: 1, 'session-owner': 2, caller: 3 } as const satisfies Record<Naming, number>;

/**
 * What a key policy says of a request by itself: that it is denied, or how it names who asks in the statements that
 * allow it.
 */
export function evaluateKeyPolicy(
  policy: Policy,
  request: Asked & Pick<AccessRequest, 'requester'>,
): 'denied' | Naming {
  let answer: Naming = 'none';
  for (const statement of policy.statements) {
    const naming = namingIn(statement, request.requester);
    if (naming === 'none' || !concerns(statement, request)) continue;
    // To deny, naming the account is enough: it means everybody in it.
    if (statement.effect === 'Deny') return 'denied';
    if (strength[naming] > strength[answer]) answer = naming;
  }
  return answer;
}

/** What policies say that name nobody, because they belong to who asks. */
function evaluateOwnPolicies(policies: readonly Policy[], request: Asked): 'denied' | OwnAnswer {
  let answer: OwnAnswer = 'silent';
  for (const { statements } of policies) {
    for (const statement of statements) {
      if (!concerns(statement, request)) continue;
      if (statement.effect === 'Deny') return 'denied';
      answer = 'allowed';
    }
  }
  return answer;
}

function namingIn({ principals, notPrincipals }: Statement, requester: Requester): Naming {
  if (principals) return namingOf(principals, requester);
  if (notPrincipals) return isExempt(notPrincipals, requester, requester.boundary !== undefined) ? 'none' : 'caller';
  return 'none';
}

/** Whether the statement is about the request and its condition holds; the condition last, as it costs most. */
function concerns(statement: Statement, { action, resource, context }: Asked): boolean {
  return (
    statement.matchesAction(action, context) &&
    statement.matchesResource(resource, context) &&
    (statement.condition?.(context, statement.effect satisfies Effect) ?? true)
  );
}

/**
 * How statements name somebody, from the weakest to the strongest: not at all; by the account, which leaves the answer
 * to its own policies; by the role of the session, so that the boundary and the session policies still hold; or as the
 * one who asks.
 */
export type Naming = 'none' | 'account' | 'session-owner' | 'caller';

export function namingOf({ everyone, accounts, named }: Principals, who: Nameable): Naming {
  if (everyone || namesCaller(named, who)) return 'caller';
  if (namesOwner(named, who)) return 'session-owner';
  if (!accounts.has(who.accountId)) return 'none';
  return isRoot(who) ? 'caller' : 'account';
}

/**
 * Whether a NotPrincipal leaves somebody out. AWS asks of each in turn, the account, the role and the session, so that
 * all must be listed; and who has a boundary is never left out (IAM User Guide, "NotPrincipal"; "Permissions
 * boundaries").
 */
export function isExempt({ everyone, accounts, named }: Principals, who: Nameable, isBounded: boolean): boolean {
  if (isBounded) return false;
  if (everyone) return true;
  if (!accounts.has(who.accountId)) return false;
  return isRoot(who) || (namesCaller(named, who) && (ownerOf(who) === undefined || namesOwner(named, who)));
}

function namesCaller(named: Principals['named'], { arn, userId }: Nameable): boolean {
  return named.has(arn) || (userId !== undefined && named.has(userId));
}

function namesOwner(named: Principals['named'], who: Nameable): boolean {
  const owner = ownerOf(who);
  if (owner === undefined) return false;
  const ownerId = ownerIdOf(who);
  return named.has(owner) || (ownerId !== undefined && named.has(ownerId));
}

/** The unique id of the role whose session it is. */
export function ownerIdOf({ userId }: Pick<Nameable, 'userId'>): string | undefined {
  const end = userId?.indexOf(':') ?? -1;
  return end < 0 ? undefined : userId?.slice(0, end);
}

/** Of a session that does not say so, what its ARN tells: a role without a path. */
export function ownerOf({ arn, sessionOf }: Pick<Nameable, 'arn' | 'sessionOf'>): string | undefined {
  if (sessionOf !== undefined || !arn.includes(':assumed-role/')) return sessionOf;
  const [, partition, account, role] = /^arn:([^:]+):sts::(\d{12}):assumed-role\/([^/]+)\//.exec(arn) ?? [];
  return role === undefined ? undefined : `arn:${partition}:iam::${account}:role/${role}`;
}

export function isRoot({ arn, accountId }: Pick<Nameable, 'arn' | 'accountId'>): boolean {
  return arn.endsWith(`:iam::${accountId}:root`);
}
