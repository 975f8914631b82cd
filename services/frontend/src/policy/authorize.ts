import { KmsException } from '@keyfleet/shared/errors/exceptions';
import { type Decision, evaluate, type Requester } from './evaluate.ts';
import type { Policies } from './policies.ts';

/** Who signed a request, and what may be attached to that identity. */
export interface Principal {
  readonly arn: string;
  readonly accountId: string;
  /** Identity policy documents. */
  readonly policies: readonly string[];
}

/** What a request is about: a key with its policy, or an ARN (`*` for the account as a whole). */
export type Resource = { readonly arn: string; readonly policy?: string };

/** The one place where a caller is let through. Throws AccessDeniedException with AWS's sentence. */
export function authorize(
  caller: Principal,
  action: string,
  { resource, policies }: { resource: Resource; policies: Policies },
): void {
  const decision = evaluate({
    requester: requesterOf(caller, policies),
    action,
    resource: resource.arn,
    ...(resource.policy !== undefined && { keyPolicy: policies.keyPolicy(resource.policy) }),
  });
  if (decision !== 'allowed') throw accessDenied(caller, { action, resourceArn: resource.arn, decision });
}

export function requesterOf({ arn, accountId, policies: texts }: Principal, policies: Policies): Requester {
  return { arn, accountId, identityPolicies: policies.identityPolicies(texts) };
}

/** `decision` says which part of AWS's sentence closes it. */
export function accessDenied(
  caller: Pick<Principal, 'arn'>,
  { action, resourceArn, decision }: { action: string; resourceArn: string; decision: Exclude<Decision, 'allowed'> },
): KmsException {
  return new KmsException(
    'AccessDeniedException',
    `User: ${caller.arn} is not authorized to perform: ${action} on resource: ${resourceArn} ${endings[decision](action)}`,
  );
}

const endings: Record<Exclude<Decision, 'allowed'>, (action: string) => string> = {
  'deny-in-key-policy': () => 'with an explicit deny in a resource-based policy',
  'deny-in-identity-policy': () => 'with an explicit deny in an identity-based policy',
  'no-key-policy': (action) => `because no resource-based policy allows the ${action} action`,
  'no-identity-policy': (action) => `because no identity-based policy allows the ${action} action`,
};
