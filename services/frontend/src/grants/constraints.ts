import { permissionsAsked, withoutContext } from '@keyfleet/shared/stored/grant-permissions';
import type { ContextPairs, Grant, GrantConstraints, GrantOperation } from './grant.ts';

/** What asks for a grant's permission. */
export interface GrantQuestion {
  readonly operation: GrantOperation;
  /** Of the request, for operations that have one. */
  readonly encryptionContext?: Readonly<Record<string, string>> | undefined;
  /** Of CreateGrant: what the new grant would allow. */
  readonly child?: Pick<Grant, 'operations' | 'constraints'> | undefined;
}

/** Whether a grant allows it. The grantee and the key are the grant's already. Pure. */
export function allows({ operations, constraints }: Grant, question: GrantQuestion): boolean {
  const { operation } = question;
  if (!operations.includes(operation)) return false;
  // AWS's services name a source; nobody calls Keyfleet for one.
  if (constraints.sourceArn !== undefined && operation !== 'RetireGrant') return false;
  if (operation === 'CreateGrant')
    return question.child !== undefined && covers({ operations, constraints }, question.child);
  if (withoutContext.has(operation)) return true;
  return contextHolds(constraints, pairsOf(question.encryptionContext ?? {}));
}

/**
 * What entries of the index begin with that the grants have which allow it; others may have them too. Undefined when
 * all grants of the grantee must be looked at.
 */
export function permissionsFor(grantee: string, question: GrantQuestion): readonly string[] | undefined {
  const { operation, child, encryptionContext = {} } = question;
  const constraints = child?.constraints;
  const given = constraints?.encryptionContextEquals ?? constraints?.encryptionContextSubset;
  return permissionsAsked(grantee, operation, given ?? pairsOf(encryptionContext));
}

/**
 * Whether a grant may be given by who has no more than `parent`: it allows no other operation, and none that `parent`
 * would not.
 */
export function covers(
  parent: Pick<Grant, 'operations' | 'constraints'>,
  child: Pick<Grant, 'operations' | 'constraints'>,
): boolean {
  if (!child.operations.every((operation) => parent.operations.includes(operation))) return false;
  const { encryptionContextEquals: equals, encryptionContextSubset: subset, sourceArn } = parent.constraints;
  const { encryptionContextEquals: itsEquals, encryptionContextSubset: itsSubset = [] } = child.constraints;
  if (sourceArn !== undefined && child.constraints.sourceArn !== sourceArn) return false;
  // Only the same pairs and no others are never more than what the parent takes.
  if (equals !== undefined && !(itsEquals !== undefined && areSame(itsEquals, equals))) return false;
  return subset === undefined || isWithin(subset, itsEquals ?? itsSubset);
}

function contextHolds(
  { encryptionContextEquals: equals, encryptionContextSubset: subset }: GrantConstraints,
  context: ContextPairs,
): boolean {
  return (equals === undefined || areSame(equals, context)) && (subset === undefined || isWithin(subset, context));
}

/** The pairs of an encryption context as grants have them. */
export function pairsOf(context: Readonly<Record<string, string>>): ContextPairs {
  return Object.entries(context).toSorted(([a], [b]) => (a < b ? -1 : 1));
}

/** In letter and case. */
function areSame(one: ContextPairs, other: ContextPairs): boolean {
  return one.length === other.length && isWithin(one, other);
}

function isWithin(pairs: ContextPairs, all: ContextPairs): boolean {
  return pairs.every(([name, value]) =>
    all.some(([otherName, otherValue]) => name === otherName && value === otherValue),
  );
}
