import type { GrantOperation } from '@keyfleet/shared/api/choices';
import type { z } from 'zod';

export type GrantOperation = z.output<typeof GrantOperation>;

/**
 * Pairs of an encryption context in the order of their names, each name once: an object could not hold every name
 * (`__proto__`).
 */
export type ContextPairs = readonly (readonly [name: string, value: string])[];

/** When a grant allows what it allows: all of them must hold. */
export interface GrantConstraints {
  readonly encryptionContextEquals?: ContextPairs | undefined;
  readonly encryptionContextSubset?: ContextPairs | undefined;
  readonly sourceArn?: string | undefined;
}

/** Allows one principal some operations with one KMS key. Never changed: it is there or it is not. */
export interface Grant {
  readonly schemaVersion: 1;
  /** 64 hex digits. */
  readonly grantId: string;
  readonly region: string;
  readonly keyId: string;
  /** The account of the key. */
  readonly accountId: string;
  readonly name?: string | undefined;
  /** Milliseconds since the epoch. */
  readonly createdAt: number;
  /** ARN of a principal, or the name of a service: `s3.amazonaws.com`. */
  readonly grantee: string;
  /**
   * What the grantee's `aws:userid` was when it was made: another of the same ARN is somebody else. Undefined for a
   * service, a root user, and in grants of a release that did not know it.
   */
  readonly granteeId?: string | undefined;
  readonly retiring?: string | undefined;
  readonly retiringId?: string | undefined;
  /** The account of whoever made it. */
  readonly issuingAccount: string;
  readonly operations: readonly GrantOperation[];
  readonly constraints: GrantConstraints;
}

/** Services have no ARN. */
export function isService(principal: string): boolean {
  return !principal.startsWith('arn:');
}
