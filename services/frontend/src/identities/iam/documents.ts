import { KmsException } from '@keyfleet/shared/errors/exceptions';
import { readGivenIdentityPolicy } from '../../policy/given-policy.ts';
import { QueryException } from '../query-exception.ts';
import { IAM_QUOTAS } from '../quotas.ts';

/** Throws MalformedPolicyDocument for anything that is not an identity policy or would not do what its author means. */
export function assertIdentityPolicy(document: string): void {
  try {
    readGivenIdentityPolicy(document);
  } catch (error) {
    if (error instanceof KmsException) throw new QueryException('MalformedPolicyDocument', error.message);
    throw error;
  }
}

/** The length by IAM's count, which ignores white space. */
export function lengthOfDocument(document: string): number {
  return document.replaceAll(/\s/g, '').length;
}

/** Throws LimitExceeded if the inline policies together are too long. */
export function assertInlineLength(kind: 'user' | 'role' | 'group', name: string, documents: readonly string[]): void {
  const limit = IAM_QUOTAS.inlinePolicyLength[kind];
  const length = documents.reduce((sum, document) => sum + lengthOfDocument(document), 0);
  if (length <= limit) return;
  throw new QueryException('LimitExceeded', `Maximum policy size of ${limit} bytes exceeded for ${kind} ${name}`);
}

export function assertManagedLength(document: string): void {
  if (lengthOfDocument(document) <= IAM_QUOTAS.managedPolicyLength) return;
  throw new QueryException('LimitExceeded', `Cannot exceed quota for PolicySize: ${IAM_QUOTAS.managedPolicyLength}`);
}
