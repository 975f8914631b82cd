import { KmsException } from '@keyfleet/shared/errors/exceptions';
import { type AccessRequest, type Decision, evaluate, type Nameable } from './evaluate.ts';

/** Throws AccessDeniedException with AWS's sentence unless the caller is allowed. */
export function authorize(request: AccessRequest): void {
  const decision = evaluate(request);
  if (decision === 'allowed') return;
  const { requester, action, resource } = request;
  throw denied(requester, action, `resource: ${resource} ${endings[decision](action)}`);
}

/**
 * For another account's key: a missing key and a key policy that excludes the caller get the same answer. So does a
 * decision that costs too much, which a caller can bring about.
 */
export function authorizeForeign(request: AccessRequest): void {
  const decision = evaluate(request);
  if (decision === 'allowed') return;
  const { requester, action, resource } = request;
  if (mayBeByKeyPolicy(decision)) throw deniedForeignKey(requester, action);
  throw denied(requester, action, `resource: ${resource} ${endings[decision](action)}`);
}

/**
 * Anyone can claim anything in a ciphertext, so a missing key, a foreign key and a key policy that excludes the caller
 * get the same answer.
 */
export function authorizeCiphertextKey(request: AccessRequest): void {
  const decision = evaluate(request);
  if (decision === 'allowed') return;
  const { requester, action } = request;
  if (mayBeByKeyPolicy(decision)) throw deniedCiphertextKey(requester, action);
  throw denied(requester, action, `the resource associated with this ciphertext ${endings[decision](action)}`);
}

export function deniedForeignKey(caller: Pick<Nameable, 'arn'>, action: string): KmsException {
  return denied(caller, action, `this resource ${OUT_OF_REACH}`);
}

export function deniedCiphertextKey(caller: Pick<Nameable, 'arn'>, action: string): KmsException {
  return denied(caller, action, `the resource associated with this ciphertext ${OUT_OF_REACH}`);
}

function mayBeByKeyPolicy(decision: Decision): boolean {
  return decision === 'no-key-policy' || decision === 'deny-in-key-policy' || decision === 'too-costly';
}

function denied({ arn }: Pick<Nameable, 'arn'>, action: string, onWhatAndWhy: string): KmsException {
  const message = `User: ${arn} is not authorized to perform: ${action} on ${onWhatAndWhy}`;
  return new KmsException('AccessDeniedException', message);
}

const OUT_OF_REACH =
  'because the resource does not exist in this Region, no resource-based policies allow access, or a resource-based policy explicitly denies access';

const endings: Record<Exclude<Decision, 'allowed'>, (action: string) => string> = {
  'deny-in-key-policy': () => 'with an explicit deny in a resource-based policy',
  'deny-in-identity-policy': () => 'with an explicit deny in an identity-based policy',
  'deny-in-boundary': () => 'with an explicit deny in a permissions boundary',
  'deny-in-session-policy': () => 'with an explicit deny in a session policy',
  'no-key-policy': (action) => `because no resource-based policy allows the ${action} action`,
  'no-identity-policy': (action) => `because no identity-based policy allows the ${action} action`,
  'no-boundary': (action) => `because no permissions boundary allows the ${action} action`,
  // Keyfleet's own: AWS sets no such limit.
  'too-costly': () => 'because its policies take too long to evaluate for this request',
  'no-session-policy': (action) => `because no session policy allows the ${action} action`,
};
