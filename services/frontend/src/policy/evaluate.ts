import type { Effect } from './conditions/condition.ts';
import { MeteredContext, type RequestContext, TooCostlyError } from './conditions/context.ts';
import type { Policy, Statement } from './document.ts';
import type { Principals } from './principals.ts';

/** The caller, as far as a Principal can name one. */
export interface Nameable {
  readonly arn: string;
  readonly accountId: string;
  /** IAM's unique id, as in `aws:userid`; absent for callers that an identity provider vouches for. */
  readonly userId?: string | undefined;
  /** For a session: the ARN of the role that was assumed or the user who federated. */
  readonly sessionOf?: string | undefined;
}

/** The caller, as policies see it. */
export interface Requester extends Nameable {
  readonly identityPolicies: readonly Policy[];
  /** The most that identity policies may allow. */
  readonly boundary?: Policy | undefined;
  /** The most that the session may do: one of these must allow the request. Undefined if it was given none. */
  readonly sessionPolicies?: readonly Policy[] | undefined;
}

export interface AccessRequest {
  readonly requester: Requester;
  /** For example `kms:Encrypt`. */
  readonly action: string;
  /** ARN of a key or alias; `*` for a request without a resource. */
  readonly resource: string;
  /** The account that owns the resource. */
  readonly ownerId: string;
  /** The key's own policy if the resource is a key. */
  readonly keyPolicy?: Policy | undefined;
  /** How the allowing grant, if any, names the caller. It counts only where no policy decides. */
  readonly grantee?: Grantee | undefined;
  readonly context: RequestContext;
}

/** As in a key policy: a grant to a role admits its sessions within their boundary and session policies. */
export type Grantee = Extract<Naming, 'caller' | 'session-owner'>;

type Asked = Pick<AccessRequest, 'action' | 'resource' | 'context'>;

/** The same while it is decided. */
type Metered<T extends Asked> = Omit<T, 'context'> & { readonly context: MeteredContext };

/** `allowed`, or the reason why not: the end of AWS's sentence. */
export type Decision =
  | 'allowed'
  | 'deny-in-key-policy'
  | 'deny-in-identity-policy'
  | 'deny-in-boundary'
  | 'deny-in-session-policy'
  | 'no-key-policy'
  | 'no-identity-policy'
  | 'no-boundary'
  | 'no-session-policy'
  | 'too-costly';

/** Whether nothing denies and nothing allows, so that something else still may. */
export function isImplicit(decision: Decision): boolean {
  return decision.startsWith('no-');
}

/**
 * Default deny. An explicit Deny in any policy overrides everything, grants included. Otherwise a caller that the key
 * policy names is allowed. A caller named only by account is allowed if its own policies say so. So is one from another
 * account, which both sides must allow. Pure. Sources: AWS KMS Developer Guide "Policy evaluation", IAM User Guide
 * "Policy evaluation logic"; docs/authorization.md.
 */
export function evaluate(request: AccessRequest): Decision {
  return withinBudget(request, decide) ?? 'too-costly';
}

/** Undefined if the decision costs too much. */
function withinBudget<T extends Asked, D>(request: T, making: (request: Metered<T>) => D): D | undefined {
  const context = new MeteredContext(request.context);
  try {
    return making({ ...request, context });
  } catch (error) {
    if (error instanceof TooCostlyError) return undefined;
    throw error;
  } finally {
    request.context.onCost?.(context.spent);
  }
}

function decide(request: Metered<AccessRequest>): Decision {
  const { requester, ownerId, keyPolicy } = request;
  const byKeyPolicy = keyPolicy ? decideByKeyPolicy(keyPolicy, request) : 'account';
  if (byKeyPolicy === 'denied') return 'deny-in-key-policy';
  // What a foreign caller's own policies say about a key must not reveal that it exists.
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

function decideOnAllows({ requester, ownerId }: Metered<AccessRequest>, answers: Answers): Decision {
  const { byKeyPolicy, byIdentity } = answers;
  const isForeign = requester.accountId !== ownerId;
  if (byKeyPolicy === 'none') return 'no-key-policy';
  if (byKeyPolicy === 'caller' && !isForeign) return 'allowed';
  const needsIdentity = byKeyPolicy === 'account' || isForeign;
  if (needsIdentity && byIdentity !== 'allowed' && !isRoot(requester)) return 'no-identity-policy';
  return decideOnLimits(answers);
}

/** Applies the boundary and session policies, which bound a session even if its role is named. */
function decideOnLimits({ byBoundary, bySession }: Answers): Decision {
  if (byBoundary !== 'allowed') return 'no-boundary';
  return bySession === 'allowed' ? 'allowed' : 'no-session-policy';
}

const strength = { none: 0, account: 1, 'session-owner': 2, caller: 3 } as const satisfies Record<Naming, number>;

/** What a key policy alone says about a request: that it is denied, or how the allowing statements name the caller. */
export function evaluateKeyPolicy(
  policy: Policy,
  request: Asked & Pick<AccessRequest, 'requester'>,
): 'denied' | Naming {
  return withinBudget(request, (metered) => decideByKeyPolicy(policy, metered)) ?? 'denied';
}

function decideByKeyPolicy(
  policy: Policy,
  request: Metered<Asked & Pick<AccessRequest, 'requester'>>,
): 'denied' | Naming {
  let answer: Naming = 'none';
  for (const statement of policy.statements) {
    const naming = namingIn(statement, request.requester);
    if (naming === 'none' || !concerns(statement, request)) continue;
    // For a Deny, naming the account is enough: it means everybody in it.
    if (statement.effect === 'Deny') return 'denied';
    if (strength[naming] > strength[answer]) answer = naming;
  }
  return answer;
}

/** Evaluates policies that name nobody because they belong to the caller. */
function evaluateOwnPolicies(policies: readonly Policy[], request: Metered<Asked>): 'denied' | OwnAnswer {
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

/**
 * For each of some policies that name nobody, which of its statements have this effect and apply to the request. None
 * if that costs too much.
 */
export function matchesOf(policies: readonly Policy[], effect: Effect, request: Asked): readonly (readonly number[])[] {
  const matching = (metered: Metered<Asked>): number[][] =>
    policies.map(({ statements }) =>
      statements.flatMap((statement, i) => (statement.effect === effect && concerns(statement, metered) ? [i] : [])),
    );
  return withinBudget(request, matching) ?? policies.map(() => []);
}

function namingIn({ principals, notPrincipals }: Statement, requester: Requester): Naming {
  if (principals) return namingOf(principals, requester);
  if (notPrincipals) return isExempt(notPrincipals, requester, requester.boundary !== undefined) ? 'none' : 'caller';
  return 'none';
}

/**
 * Whether the statement applies to the request and its condition holds: where that is undecidable, a Deny does. The
 * condition is last because it costs most.
 */
function concerns(statement: Statement, { action, resource, context }: Metered<Asked>): boolean {
  const isDeny = statement.effect === 'Deny';
  return (
    (statement.matchesAction(action, context) ?? isDeny) &&
    (statement.matchesResource(resource, context) ?? isDeny) &&
    (statement.condition?.(context, statement.effect) ?? true)
  );
}

/**
 * How statements name the caller, from weakest to strongest: not at all; by account, which leaves the decision to the
 * caller's own policies; by the session's role, so that the boundary and session policies still apply; or directly.
 */
export type Naming = 'none' | 'account' | 'session-owner' | 'caller';

export function namingOf({ everyone, accounts, named }: Principals, who: Nameable): Naming {
  if (everyone || namesCaller(named, who)) return 'caller';
  if (namesOwner(named, who)) return 'session-owner';
  if (!accounts.has(who.accountId)) return 'none';
  return isRoot(who) ? 'caller' : 'account';
}

/**
 * Whether a NotPrincipal exempts the caller. AWS checks the account, the role and the session in turn, so all of them
 * must be listed; and a caller with a boundary is never exempt (IAM User Guide, "NotPrincipal"; "Permissions
 * boundaries").
 */
function isExempt({ everyone, accounts, named }: Principals, who: Nameable, isBounded: boolean): boolean {
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

/** The unique id of the session's role. */
export function ownerIdOf({ userId }: Pick<Nameable, 'userId'>): string | undefined {
  const end = userId?.indexOf(':') ?? -1;
  return end < 0 ? undefined : userId?.slice(0, end);
}

/** For a session that does not state its role, the one in its ARN: a role without a path. */
export function ownerOf({ arn, sessionOf }: Pick<Nameable, 'arn' | 'sessionOf'>): string | undefined {
  if (sessionOf !== undefined || !arn.includes(':assumed-role/')) return sessionOf;
  const [, partition, account, role] = /^arn:([^:]+):sts::(\d{12}):assumed-role\/([^/]+)\//.exec(arn) ?? [];
  return role === undefined ? undefined : `arn:${partition}:iam::${account}:role/${role}`;
}

export function isRoot({ arn, accountId }: Pick<Nameable, 'arn' | 'accountId'>): boolean {
  return arn.endsWith(`:iam::${accountId}:root`);
}
