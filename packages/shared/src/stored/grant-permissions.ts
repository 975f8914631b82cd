import { createHash } from 'node:crypto';

/** The pairs of an encryption context, ordered by name. */
type Pairs = readonly (readonly [name: string, value: string])[];

/** The parts of a grant that say what it allows to whom. */
interface Permitting {
  readonly grantee: string;
  readonly operations: readonly string[];
  readonly constraints: {
    readonly encryptionContextEquals?: Pairs | undefined;
    readonly encryptionContextSubset?: Pairs | undefined;
  };
}

/** Operations without an encryption context (KMS Developer Guide, "Using grant constraints"). */
export const withoutContext: ReadonlySet<string> = new Set(['DescribeKey', 'RetireGrant', 'GetPublicKey']);

/**
 * One for each operation that a grant allows: `allows <grantee and operation> <form> <pairs> `, of which all but the
 * form are digests. Entries begin with them. The form is `any`, `equals`, or `subset` and the digests of the
 * constraint's names. However many grants there are, few are of different forms, and of each form a request can only
 * have one permission: whoever knows the forms need not try every part of an encryption context.
 */
export function permissionsOf({ grantee, operations, constraints }: Permitting): readonly string[] {
  const { encryptionContextEquals: equals, encryptionContextSubset: subset = [] } = constraints;
  return operations.map((operation) => {
    const to = permissionsTo(grantee, operation);
    if (withoutContext.has(operation)) return permission(to, 'any', []);
    if (equals !== undefined) return permission(to, 'equals', equals);
    return permission(to, ['subset', ...subset.map(([name]) => digestOf(name))].join('.'), subset);
  });
}

/** Begins every permission for an operation. */
export function permissionsTo(grantee: string, operation: string): string {
  return `allows ${digestOf([grantee, operation])} `;
}

export function formOf(permission: string): string {
  return permission.split(' ')[2]!;
}

/**
 * The one permission of a form, if any, that a grant can have which allows an operation with this encryption context.
 * `to`: the begin of permissions for the operation.
 */
export function permissionsAsked(to: string, context: Pairs): (form: string) => string | undefined {
  const byName = new Map(context.map((pair) => [digestOf(pair[0]), pair]));
  return (form) => {
    const [how, ...names] = form.split('.');
    if (how !== 'subset') return permission(to, form, how === 'equals' ? context : []);
    const pairs = names.map((name) => byName.get(name)).filter((pair) => pair !== undefined);
    return pairs.length === names.length ? permission(to, form, pairs) : undefined;
  };
}

function permission(to: string, form: string, pairs: Pairs): string {
  return `${to}${form} ${digestOf(pairs)} `;
}

/** Begins the entry of a grant that has entries for its permissions; grants of older releases have none. */
export function permittedTo(grantee: string): string {
  return `allowed ${digestOf(grantee)} `;
}

function digestOf(value: unknown): string {
  return createHash('sha256').update(JSON.stringify(value)).digest('base64url').slice(0, 22);
}
