import { isAwsService } from './aws-services.ts';
import { malformed } from './malformed.ts';

/** Whom a key policy statement names. */
export interface Principals {
  /** `*`: every identity of every account. */
  readonly everyone: boolean;
  /** Accounts named by id or root ARN: this lets the account's identity policies decide, and covers its root user. */
  readonly accounts: ReadonlySet<string>;
  /** Users, roles and sessions, by unique id or by ARN. */
  readonly named: ReadonlySet<string>;
}

export type PrincipalShape = '*' | Partial<Record<'AWS' | 'Service' | 'Federated' | 'CanonicalUser', string[]>>;

const accountPattern = /^(?:\d{12}|arn:aws[a-z-]*:iam::(\d{12}):root)$/;
const identityPattern =
  /^arn:aws[a-z-]*:(?:iam::\d{12}:(?:user|role)\/|sts::\d{12}:(?:assumed-role|federated-user)\/)[\w+=,.@/-]+$/;
/** Unique ids of users and roles, and that of a session. */
export const principalIdForm = /^(?:AIDA|AROA)[A-Z0-9]+(?::[\w+=,.@-]+)?$/;
const servicePattern = /^[a-z0-9-]+(?:\.[a-z0-9-]+)+$/i;

/**
 * Throws MalformedPolicyDocumentException for an impossible principal. Service and federated principals match no
 * caller.
 */
export function compilePrincipals(principal: PrincipalShape): Principals {
  const given = principal === '*' ? { AWS: ['*'] } : principal;
  const services = 'Service' in given ? (given.Service ?? []) : [];
  if ('CanonicalUser' in given || !services.every((name) => servicePattern.test(name))) throw invalidPrincipals();

  const accounts = new Set<string>();
  const named = new Set<string>();
  let everyone = false;
  for (const name of given.AWS ?? []) {
    const account = accountPattern.exec(name);
    if (name === '*') everyone = true;
    else if (account) accounts.add(account[1] ?? name);
    else if (identityPattern.test(name) || principalIdForm.test(name)) named.add(name);
    else throw invalidPrincipals();
  }
  return { everyone, accounts, named };
}

const partitionOf = /^arn:([^:]+):/;

/**
 * Throws MalformedPolicyDocumentException for principals that a policy may not name, beyond those that
 * `compilePrincipals` rejects: none at all, one of another partition, a service that AWS does not have, a federation
 * (no deployment has an identity provider).
 */
export function assertGivenPrincipals(principal: PrincipalShape, partition: string): void {
  if (principal === '*') return;
  const kinds = Object.entries(principal);
  if (kinds.length === 0 || kinds.some(([, names]) => names.length === 0)) throw invalidPrincipals();
  if ('Federated' in principal || !(principal.Service ?? []).every(isAwsService)) throw invalidPrincipals();
  for (const name of principal.AWS ?? []) {
    const [, given = partition] = partitionOf.exec(name) ?? [];
    // Ids occur only in stored policies. Given by a caller, an id would look like one shown for a deleted principal,
    // and name nobody.
    if (given !== partition || principalIdForm.test(name)) throw invalidPrincipals();
  }
}

export function invalidPrincipals() {
  return malformed('Policy contains a statement with one or more invalid principals.');
}
