import type { GrantOperation } from '@keyfleet/shared/api/choices';
import type { z } from 'zod';

export type GrantOperation = z.output<typeof GrantOperation>;

/** An encryption context's pairs sorted by name, each name once. An object could not hold every name (`__proto__`). */
export type ContextPairs = readonly (readonly [name: string, value: string])[];

/** The conditions under which a grant allows anything; all must hold. */
export interface GrantConstraints {
  readonly encryptionContextEquals?: ContextPairs | undefined;
  readonly encryptionContextSubset?: ContextPairs | undefined;
  readonly sourceArn?: string | undefined;
}

/** Allows one principal some operations on one KMS key. Never changed: it exists or it does not. */
export interface Grant {
  readonly schemaVersion: 1;
  /** 64 hex digits. */
  readonly grantId: string;
  readonly region: string;
  readonly keyId: string;
  /** The key's account. */
  readonly accountId: string;
  readonly name?: string | undefined;
  /** Milliseconds since the epoch. */
  readonly createdAt: number;
  /** ARN of a principal, or a service name: `s3.amazonaws.com`. */
  readonly grantee: string;
  /**
   * The grantee's `aws:userid` when the grant was made: a later principal with the same ARN is somebody else. Undefined
   * for a service, a root user, and grants from a release that did not record it.
   */
  readonly granteeId?: string | undefined;
  readonly retiring?: string | undefined;
  readonly retiringId?: string | undefined;
  /** The account of the grant's creator. */
  readonly issuingAccount: string;
  readonly operations: readonly GrantOperation[];
  readonly constraints: GrantConstraints;
}

/** Services have no ARN. */
export function isService(principal: string): boolean {
  return !principal.startsWith('arn:');
}
