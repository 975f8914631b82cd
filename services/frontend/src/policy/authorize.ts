import { KmsException } from '@keyfleet/shared/errors/exceptions';
import { type Decision, evaluate, type Requester } from './evaluate.ts';
import type { Policies } from './policies.ts';
import type { Principal } from './principal.ts';

/** What a request is about: a key with its policy, or an ARN (`*` for the account as a whole). */
export type Resource = { readonly arn: string; readonly policy?: string };

export interface AccessTo {
  readonly resource: Resource;
  readonly policies: Policies;
}

/** Whether a caller is let through, and if not, why. */
export function decide(caller: Principal, action: string, { resource, policies }: AccessTo): Decision {
  return evaluate({
    requester: requesterOf(caller, policies),
    action,
    resource: resource.arn,
    ...(resource.policy !== undefined && { keyPolicy: policies.keyPolicy(resource.policy) }),
  });
}

/** Throws AccessDeniedException with AWS's sentence unless the caller is let through. */
export function authorize(caller: Principal, action: string, access: AccessTo): void {
  const decision = decide(caller, action, access);
  if (decision !== 'allowed')
    throw denied(caller, action, `resource: ${access.resource.arn} ${endings[decision](action)}`);
}

/** Another account's key, there or not: nothing tells the two apart. */
export function deniedForeignKey(caller: Pick<Principal, 'arn'>, action: string): KmsException {
  return denied(caller, action, `this resource ${OUT_OF_REACH}`);
}

/** A ciphertext's claim is anybody's: a key that is not there, is foreign, or whose policy shuts the caller out are one answer. */
export function deniedCiphertextKey(
  caller: Pick<Principal, 'arn'>,
  action: string,
  decision: Exclude<Decision, 'allowed'>,
): KmsException {
  const byKeyPolicy = decision === 'no-key-policy' || decision === 'deny-in-key-policy';
  const ending = byKeyPolicy ? OUT_OF_REACH : endings[decision](action);
  return denied(caller, action, `the resource associated with this ciphertext ${ending}`);
}

export function requesterOf(
  { arn, accountId, policies: texts }: Pick<Principal, 'arn' | 'accountId' | 'policies'>,
  policies: Policies,
): Requester {
  return { arn, accountId, identityPolicies: policies.identityPolicies(texts) };
}

function denied({ arn }: Pick<Principal, 'arn'>, action: string, onWhatAndWhy: string): KmsException {
  const message = `User: ${arn} is not authorized to perform: ${action} on ${onWhatAndWhy}`;
  return new KmsException('AccessDeniedException', message);
}

const OUT_OF_REACH =
  'because the resource does not exist in this Region, no resource-based policies allow access, or a resource-based policy explicitly denies access';

const endings: Record<Exclude<Decision, 'allowed'>, (action: string) => string> = {
  'deny-in-key-policy': () => 'with an explicit deny in a resource-based policy',
  'deny-in-identity-policy': () => 'with an explicit deny in an identity-based policy',
  'no-key-policy': (action) => `because no resource-based policy allows the ${action} action`,
  'no-identity-policy': (action) => `because no identity-based policy allows the ${action} action`,
};
