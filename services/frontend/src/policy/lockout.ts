import type { Policy } from './document.ts';
import { type AccessRequest, evaluateKeyPolicy } from './evaluate.ts';
import { malformed } from './malformed.ts';

/**
 * Throws MalformedPolicyDocumentException unless the policy would let the same caller change it again, from the same
 * place at the same time. Delegating to the account is enough: its identity policies can be changed at any time.
 * `policy` is one from a caller, so it applies to this key and no other. `asked` is the access request for that
 * PutKeyPolicy.
 */
export function assertKeepsControl(policy: Policy, asked: AccessRequest): void {
  const answer = evaluateKeyPolicy(policy, asked);
  if (answer !== 'denied' && answer !== 'none') return;
  throw malformed('The new key policy will not allow you to update the key policy in the future.');
}
