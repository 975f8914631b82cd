import { KmsException } from '@keyfleet/shared/errors/exceptions';
import { assertConstraints, type GivenConstraints } from '../grants/given-constraints.ts';
import { assertGrantable, assertOneOfEach, type GivenPrincipals, principalIdsOfGrant } from '../grants/given-grant.ts';
import type { Grant, GrantOperation } from '../grants/grant.ts';
import { assertOwnRetiring } from '../operations/grants.ts';
import { check } from './check.ts';
import { findRetired } from './retirement.ts';

export const grantPrincipals = check<GivenPrincipals>(
  'the grant has one grantee, and its principals exist',
  async (request) => {
    const { input, call, deps } = request;
    assertOneOfEach(input);
    request.principalIds = await principalIdsOfGrant(input, call.caller, deps);
  },
);

export const grantOperations = check<{ Operations: readonly GrantOperation[] }>(
  'the key can do what the grant allows',
  ({ input, keys: [key] }) => assertGrantable(key!, input.Operations),
);

export const grantConstraints = check<{ Constraints?: GivenConstraints }>(
  'the constraints are ones that a request can meet',
  ({ input, keys: [key] }) => assertConstraints(key!, input.Constraints),
);

export const ownRetiring = check<Parameters<typeof assertOwnRetiring>[0]>(
  "one retiring principal is named, of the caller's account",
  ({ input, call }) => assertOwnRetiring(input, call.caller),
);

export const grantId = check<{ GrantId?: string | undefined }>('the grant id has the form of one', ({ input }) => {
  if (input.GrantId === undefined || /^[0-9a-f]+$/i.test(input.GrantId)) return;
  throw new KmsException('InvalidGrantIdException', 'The grant ID is not valid.');
});

export const revokedGrant = check<{ GrantId: string }>('the key has the grant', async (request) => {
  const { input, keys, deps } = request;
  request.grant = await deps.grants.find(keys[0]!, input.GrantId);
  if (request.grant === undefined) throw grantNotFound(input.GrantId);
});

/** Replaces `access`: policies are neither sufficient nor necessary to retire a grant. */
export const retirement = check<{
  GrantToken?: string | undefined;
  KeyId?: string | undefined;
  GrantId?: string | undefined;
}>('the grant is there and the caller may retire it', async (request) => {
  const { grant, key } = await findRetired(request);
  request.grant = grant;
  request.keys.push(key);
});

function grantNotFound(grantId: Grant['grantId']): KmsException {
  return new KmsException('NotFoundException', `Grant ID ${grantId} not found`);
}
