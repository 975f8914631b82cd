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

/** A context with more pairs has too many parts to ask for each. */
const MAX_PAIRS = 6;

/**
 * One for each operation that a grant allows: a caller that asks for that operation with that context is allowed.
 * Entries begin with them.
 */
export function permissionsOf({ grantee, operations, constraints }: Permitting): readonly string[] {
  const { encryptionContextEquals: equals, encryptionContextSubset: subset } = constraints;
  return operations.map((operation) => {
    if (withoutContext.has(operation)) return permission(grantee, operation, 'any', []);
    if (equals !== undefined) return permission(grantee, operation, 'equals', equals);
    return permission(grantee, operation, 'subset', subset ?? []);
  });
}

/**
 * A grant that allows an operation with an encryption context has at least one of these: that of the whole context, or
 * that of one of its parts. Undefined if there are too many.
 */
export function permissionsAsked(grantee: string, operation: string, context: Pairs): readonly string[] | undefined {
  if (withoutContext.has(operation)) return [permission(grantee, operation, 'any', [])];
  if (context.length > MAX_PAIRS) return undefined;
  const parts = Array.from({ length: 2 ** context.length }, (_, bits) => context.filter((_pair, i) => bits & (1 << i)));
  return [
    permission(grantee, operation, 'equals', context),
    ...parts.map((part) => permission(grantee, operation, 'subset', part)),
  ];
}

function permission(grantee: string, operation: string, how: 'any' | 'equals' | 'subset', pairs: Pairs): string {
  return `may ${digestOf([grantee, operation, how, pairs])} `;
}

/** Begins the entry of a grant that has entries for its permissions; grants of older releases have none. */
export function permittedTo(grantee: string): string {
  return `permitted ${digestOf(grantee)} `;
}

function digestOf(value: unknown): string {
  return createHash('sha256').update(JSON.stringify(value)).digest('base64url').slice(0, 22);
}
