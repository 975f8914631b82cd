import type { ArnScope } from '@keyfleet/shared/arn';
import { KmsException } from '@keyfleet/shared/errors/exceptions';
import type { Grant } from '../grants/grant.ts';
import type { GrantName } from '../grants/grant-token.ts';
import { invalidGrantToken } from '../grants/grant-tokens.ts';
import { granteesOf } from '../grants/permission.ts';
import type { KmsKey } from '../keys/kms-key.ts';
import { readIdentifier } from '../keys/resolve.ts';
import { authorize, deniedForeignKey } from '../policy/authorize.ts';
import { type AccessRequest, evaluate, isImplicit } from '../policy/evaluate.ts';
import { accessRequest } from './access-request.ts';
import type { CheckedRequest } from './check.ts';
import { accessDeps } from './checks-on-keys.ts';

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
  if (!grant || !key) throw new KmsException('NotFoundException', `Grant ID ${name.grantId} not found`);
  assertMayRetire(grant, call.caller, await accessRequestOf(key, request));
  return { grant, key };
}

async function nameOf({ input, call, deps }: CheckedRequest<Retirement>): Promise<GrantName> {
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
  if ('keyId' in named) return { region: call.region, keyId: named.keyId, grantId };
  throw new KmsException('NotFoundException', `Grant ID ${grantId} not found`);
}

const ACTION = 'kms:RetireGrant';

function accessRequestOf(
  key: KmsKey,
  { operation, input, call, deps }: CheckedRequest<Retirement>,
): AccessRequest | Promise<AccessRequest> {
  const target = { about: 'key', arn: key.arn, ownerId: key.accountId, key } as const;
  return accessRequest({ operation, input: { ...input }, call }, ACTION, { target, deps: accessDeps(deps) });
}

function assertMayRetire(
  { retiring, grantee, operations, issuingAccount }: Grant,
  caller: CheckedRequest['call']['caller'],
  request: AccessRequest,
): void {
  const names = granteesOf(caller);
  const isRetiring = retiring !== undefined && names.includes(retiring);
  if (isRetiring || (operations.includes('RetireGrant') && names.includes(grantee))) {
    // Unless somebody denies it.
    authorize({ ...request, isGranted: () => true });
    return;
  }
  if (issuingAccount !== caller.accountId) throw deniedForeignKey(caller, ACTION);
  const decision = evaluate(request);
  if (decision !== 'allowed' && !isImplicit(decision)) authorize(request);
  // Only the account's own policies delegate it, not the key's.
  authorize({ ...request, keyPolicy: undefined, ownerId: caller.accountId });
}
