import type { ArnScope } from '@keyfleet/shared/arn';
import { KmsException } from '@keyfleet/shared/errors/exceptions';
import type { Grant } from '../grants/grant.ts';
import type { GrantName } from '../grants/grant-token.ts';
import { invalidGrantToken } from '../grants/grant-tokens.ts';
import { isGrantee, isRetiring, namesOf } from '../grants/permission.ts';
import type { KmsKey } from '../keys/kms-key.ts';
import { readIdentifier } from '../keys/resolve.ts';
import { authorize, deniedForeignKey } from '../policy/authorize.ts';
import { getForeign } from './access.ts';
import { type AccessRequest, evaluate, isImplicit } from '../policy/evaluate.ts';
import { accessRequest } from './access-request.ts';
import type { CheckedRequest } from './check.ts';
import { accessDeps } from './checks-on-use.ts';

interface Retirement {
  readonly GrantToken?: string | undefined;
  readonly KeyId?: string | undefined;
  readonly GrantId?: string | undefined;
}

/**
 * Finds the grant that a request retires, and its key. The retiring principal may retire it; so may the grantee if the
 * grant allows RetireGrant, and anyone whom the issuing account's own policies allow. A Deny overrides each of them,
 * and an Allow in the key policy does not count (KMS Developer Guide, "RetireGrant"). Throws what AWS answers.
 */
export async function findRetired(request: CheckedRequest<Retirement>): Promise<{ grant: Grant; key: KmsKey }> {
  const name = await nameOf(request);
  const { deps, call } = request;
  const key = await deps.keys.findKey(name.region, name.keyId);
  const grant = key && (await deps.grants.find(name, name.grantId));
  const ownerId = name.accountId ?? key?.accountId;
  const found = grant && ownerId === key.accountId ? { grant, key } : undefined;
  // On another account's key, a missing grant and one that the caller may not retire get the same answer.
  const refusal = deniedForeignKey(call.caller, ACTION);
  if (ownerId !== call.caller.accountId) getForeign(found?.key, { question: request, deps, refusal });
  if (found === undefined) throw notFound(name.grantId);
  assertMayRetire(found.grant, call.caller, await accessRequestOf(found.key, request));
  return found;
}

function notFound(grantId: string): KmsException {
  return new KmsException('NotFoundException', `Grant ID ${grantId} not found`);
}

interface RetiredName extends GrantName {
  /** The key as the caller names it; with a grant token that is optional. */
  readonly accountId?: string;
}

async function nameOf({ input, call, deps }: CheckedRequest<Retirement>): Promise<RetiredName> {
  const { GrantToken: token, KeyId: keyId, GrantId: grantId } = input;
  if (token !== undefined) {
    const name = await deps.grantTokens.open(token, call.deadline);
    if (name.region !== call.region) throw invalidGrantToken();
    return name;
  }
  if (keyId === undefined || grantId === undefined) {
    throw new KmsException('ValidationException', 'Specify either GrantToken, or KeyId and GrantId.');
  }
  const scope: ArnScope = { partition: deps.partition, region: call.region, accountId: call.caller.accountId };
  const named = readIdentifier(keyId, 'key', scope);
  if ('keyId' in named) return { region: call.region, keyId: named.keyId, accountId: named.accountId, grantId };
  throw notFound(grantId);
}

const ACTION = 'kms:RetireGrant';

function accessRequestOf(
  key: KmsKey,
  { operation, input, call, deps }: CheckedRequest<Retirement>,
): AccessRequest | Promise<AccessRequest> {
  const target = { about: 'key', arn: key.arn, ownerId: key.accountId, key } as const;
  return accessRequest({ operation, input: { ...input }, call }, ACTION, { target, deps: accessDeps(deps) });
}

function assertMayRetire(grant: Grant, caller: CheckedRequest['call']['caller'], request: AccessRequest): void {
  const allowsIt = grant.operations.includes('RetireGrant');
  const may = namesOf(caller).find((name) => isRetiring(name, grant) || (allowsIt && isGrantee(name, grant)));
  if (may !== undefined) {
    // Unless a policy denies it.
    authorize({ ...request, grantee: may.naming });
    return;
  }
  if (grant.issuingAccount !== caller.accountId) throw deniedForeignKey(caller, ACTION);
  const decision = evaluate(request);
  if (decision !== 'allowed' && !isImplicit(decision)) authorize(request);
  // Only the account's own policies can delegate it, not the key policy.
  authorize({ ...request, keyPolicy: undefined, ownerId: caller.accountId });
}
