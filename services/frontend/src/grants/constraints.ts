import { permissionsAsked, permissionsTo, withoutContext } from '@keyfleet/shared/stored/grant-permissions';
import type { ContextPairs, Grant, GrantConstraints, GrantOperation } from './grant.ts';

/** The request for which a grant's permission is needed. */
export interface GrantQuestion {
  readonly operation: GrantOperation;
  /** The request's context, for operations that have one. */
  readonly encryptionContext?: Readonly<Record<string, string>> | undefined;
  /** For CreateGrant: what the new grant would allow. */
  readonly child?: Pick<Grant, 'operations' | 'constraints'> | undefined;
}

/** Whether a grant allows it. The grantee and key have already been matched. Pure. */
export function allows({ operations, constraints }: Grant, question: GrantQuestion): boolean {
  const { operation } = question;
  if (!operations.includes(operation)) return false;
  // Only AWS's services name a source, and none of them calls Keyfleet.
  if (constraints.sourceArn !== undefined && operation !== 'RetireGrant') return false;
  if (operation === 'CreateGrant')
    return question.child !== undefined && covers({ operations, constraints }, question.child);
  if (withoutContext.has(operation)) return true;
  return contextHolds(constraints, pairsOf(question.encryptionContext ?? {}));
}

/** Of a grantee's permissions, those that a grant which allows the operation can have: at most one of each form. */
export interface PermissionsFor {
  /** All for the operation begin with it. */
  readonly to: string;
  readonly ofForm: (form: string) => string | undefined;
}

/** Every grant that allows it has such a permission; other grants may have one too. */
export function permissionsFor(grantee: string, question: GrantQuestion): PermissionsFor {
  const { operation, child, encryptionContext = {} } = question;
  const constraints = child?.constraints;
  const given = constraints?.encryptionContextEquals ?? constraints?.encryptionContextSubset;
  const to = permissionsTo(grantee, operation);
  return { to, ofForm: permissionsAsked(to, given ?? pairsOf(encryptionContext)) };
}

/**
 * Whether somebody with only the permissions of `parent` may give this grant: it allows no other operation, and nothing
 * that `parent` would not.
 */
export function covers(
  parent: Pick<Grant, 'operations' | 'constraints'>,
  child: Pick<Grant, 'operations' | 'constraints'>,
): boolean {
  if (!child.operations.every((operation) => parent.operations.includes(operation))) return false;
  const { encryptionContextEquals: equals, encryptionContextSubset: subset, sourceArn } = parent.constraints;
  const { encryptionContextEquals: itsEquals, encryptionContextSubset: itsSubset = [] } = child.constraints;
  if (sourceArn !== undefined && child.constraints.sourceArn !== sourceArn) return false;
  // Only exactly the same pairs are certain not to exceed what the parent takes.
  if (equals !== undefined && !(itsEquals !== undefined && areSame(itsEquals, equals))) return false;
  return subset === undefined || isWithin(subset, itsEquals ?? itsSubset);
}

function contextHolds(
  { encryptionContextEquals: equals, encryptionContextSubset: subset }: GrantConstraints,
  context: ContextPairs,
): boolean {
  return (equals === undefined || areSame(equals, context)) && (subset === undefined || isWithin(subset, context));
}

/** An encryption context's pairs in the form that grants store. */
export function pairsOf(context: Readonly<Record<string, string>>): ContextPairs {
  return Object.entries(context).toSorted(([a], [b]) => (a < b ? -1 : 1));
}

/** Case-sensitive. */
function areSame(one: ContextPairs, other: ContextPairs): boolean {
  return one.length === other.length && isWithin(one, other);
}

function isWithin(pairs: ContextPairs, all: ContextPairs): boolean {
  return pairs.every(([name, value]) =>
    all.some(([otherName, otherValue]) => name === otherName && value === otherValue),
  );
}
