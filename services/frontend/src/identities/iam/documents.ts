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

/**
 * Whether texts together keep a quota of characters. IAM counts no white space; since texts are kept as given, it may
 * take no more than the quota once more.
 */
export function isWithin(quota: number, documents: readonly string[]): boolean {
  const all = documents.join('');
  return all.length <= 2 * quota && all.replaceAll(/\s/g, '').length <= quota;
}

/** Throws LimitExceeded if the inline policies together are too long. */
export function assertInlineLength(kind: 'user' | 'role' | 'group', name: string, documents: readonly string[]): void {
  const limit = IAM_QUOTAS.inlinePolicyLength[kind];
  if (isWithin(limit, documents)) return;
  throw new QueryException('LimitExceeded', `Maximum policy size of ${limit} bytes exceeded for ${kind} ${name}`);
}

/** Throws LimitExceeded or MalformedPolicyDocument. */
export function assertManagedPolicy(document: string): void {
  const limit = IAM_QUOTAS.managedPolicyLength;
  if (!isWithin(limit, [document])) {
    throw new QueryException('LimitExceeded', `Cannot exceed quota for PolicySize: ${limit}`);
  }
  assertIdentityPolicy(document);
}
