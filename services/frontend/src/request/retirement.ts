import type { ArnScope } from '@keyfleet/shared/arn';
import { KmsException } from '@keyfleet/shared/errors/exceptions';
import type { Grant } from '../grants/grant.ts';
import type { GrantName } from '../grants/grant-token.ts';
import { invalidGrantToken } from '../grants/grant-tokens.ts';
import { isGrantee, isRetiring, namesOf } from '../grants/permission.ts';
import type { KmsKey } from '../keys/kms-key.ts';
import { readIdentifier } from '../keys/resolve.ts';
import { authorize, deniedForeignKey } from '../policy/authorize.ts';
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
 * The grant that a request retires, and its key. It may be retired by its retiring principal, by its grantee if it
 * allows that, and by who may do so in the account that made it; a Deny beats each of them, and an Allow of the key
 * policy is none (KMS Developer Guide, "RetireGrant"). Throws what AWS answers.
 */
export async function findRetired(request: CheckedRequest<Retirement>): Promise<{ grant: Grant; key: KmsKey }> {
  const name = await nameOf(request);
  const { deps, call } = request;
  const grant = await deps.grants.find(name, name.grantId);
  const key = grant && (await deps.keys.findKey(name.region, name.keyId));
  if (!grant || !key || (name.accountId ?? key.accountId) !== key.accountId) {
    // Of another account's key, a grant that is not there and one that is none of the caller's business are one answer.
    const isForeign = name.accountId !== undefined && name.accountId !== call.caller.accountId;
    throw isForeign ? deniedForeignKey(call.caller, ACTION) : notFound(name.grantId);
  }
  assertMayRetire(grant, call.caller, await accessRequestOf(key, request));
  return { grant, key };
}

function notFound(grantId: string): KmsException {
  return new KmsException('NotFoundException', `Grant ID ${grantId} not found`);
}

interface RetiredName extends GrantName {
  /** Of the key, as the caller says; a token needs not say it. */
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
    // Unless somebody denies it.
    authorize({ ...request, grantee: may.naming });
    return;
  }
  if (grant.issuingAccount !== caller.accountId) throw deniedForeignKey(caller, ACTION);
  const decision = evaluate(request);
  if (decision !== 'allowed' && !isImplicit(decision)) authorize(request);
  // Only the account's own policies delegate it, not the key's.
  authorize({ ...request, keyPolicy: undefined, ownerId: caller.accountId });
}
