import { randomBytes } from 'node:crypto';
import type {
  CreateGrant,
  ListGrants,
  ListRetirableGrants,
  RetireGrant,
  RevokeGrant,
} from '@keyfleet/shared/api/grants';
import { accountOfPrincipal, keyArn } from '@keyfleet/shared/arn';
import { KmsException } from '@keyfleet/shared/errors/exceptions';
import { constraintsOf, shownConstraints } from '../grants/given-constraints.ts';
import { type Grant, isService } from '../grants/grant.ts';
import type { PrincipalIds } from '../policy/users.ts';
import { ConflictError, type Page } from '../store/store.ts';
import type { Deps, Handler } from './handler.ts';
import type { MarkerScope } from './markers.ts';

/** AWS's quota. */
const GRANTS_PER_KEY = 50_000;
const DEFAULT_LIMIT = 50;
const MAX_LIMIT = 100;

type CreateGrantDeps = Pick<Deps, 'grants' | 'grantTokens' | 'clock'>;

export const createGrant: Handler<typeof CreateGrant, CreateGrantDeps> = async (
  input,
  { key, caller, deadline, principalIds },
  { grants, grantTokens, clock },
) => {
  const grant: Grant = {
    schemaVersion: 1,
    grantId: randomBytes(32).toString('hex'),
    region: key.region,
    keyId: key.keyId,
    accountId: key.accountId,
    name: input.Name,
    createdAt: clock.now(),
    // A check has ensured that one of the two is present.
    grantee: (input.GranteePrincipal ?? input.GranteeServicePrincipal)!,
    granteeId: idIn(principalIds, input.GranteePrincipal),
    retiring: input.RetiringPrincipal ?? input.RetiringServicePrincipal,
    retiringId: idIn(principalIds, input.RetiringPrincipal),
    issuingAccount: caller.accountId,
    operations: [...new Set(input.Operations)],
    constraints: constraintsOf(input.Constraints),
  };
  const outcome = await grants.insert(grant, GRANTS_PER_KEY);
  if (outcome === 'gone') throw new ConflictError(`key ${key.arn} is gone`);
  if (outcome === 'full') {
    throw new KmsException('LimitExceededException', `Key '${key.arn}' has the maximum of ${GRANTS_PER_KEY} grants.`);
  }
  const grantId = outcome === 'done' ? grant.grantId : outcome.existing;
  return { GrantId: grantId, GrantToken: await grantTokens.seal({ ...grant, grantId }, deadline) };
};

function idIn(ids: PrincipalIds | undefined, arn: string | undefined): string | undefined {
  return arn === undefined ? undefined : ids?.get(arn);
}

type ListDeps = Pick<Deps, 'grants' | 'markers' | 'partition' | 'users'>;

export const listGrants: Handler<typeof ListGrants, ListDeps> = async (input, call, deps) => {
  const { key, deadline } = call;
  const { accountId } = call.caller;
  const grantee = input.GranteePrincipal ?? input.GranteeServicePrincipal;
  if (input.GrantId !== undefined) {
    const grant = await deps.grants.find(key, input.GrantId);
    const items = grant && (grantee === undefined || grant.grantee === grantee) ? [grant] : [];
    return answerOf({ items }, { askedBy: accountId }, deps);
  }
  const list: MarkerScope = {
    accountId,
    region: key.region,
    operation: 'ListGrants',
    filter: `${key.keyId} ${grantee ?? ''}`,
  };
  const after = input.Marker === undefined ? undefined : await deps.markers.open(list, input.Marker, deadline);
  const page = await deps.grants.list(key, grantee, limitOf(input.Limit), after);
  const marker = page.next && (await deps.markers.seal(list, page.next, deadline));
  return answerOf(page, { marker, askedBy: accountId }, deps);
};

export const listRetirableGrants: Handler<typeof ListRetirableGrants, ListDeps> = async (input, call, deps) => {
  const { caller, region, deadline } = call;
  // A check has ensured that one of the two is present and in the caller's account.
  const principal = (input.RetiringPrincipal ?? input.RetiringServicePrincipal)!;
  const { accountId } = caller;
  const list = { accountId, region, operation: 'ListRetirableGrants', filter: principal };
  const after = input.Marker === undefined ? undefined : await deps.markers.open(list, input.Marker, deadline);
  const { items, next } = await deps.grants.listRetirable(region, principal, limitOf(input.Limit), after);
  const id = isService(principal) ? undefined : await deps.users.idOf(principal, accountId);
  const own = items.filter(({ retiringId, accountId: owner }) =>
    // Services have no account, so for them a caller sees only the grants on its own account's keys.
    isService(principal) ? owner === accountId : retiringId === undefined || retiringId === id,
  );
  const page = next === undefined ? { items: own } : { items: own, next };
  const marker = next && (await deps.markers.seal(list, next, deadline));
  return answerOf(page, { marker, askedBy: accountId }, deps);
};

export const revokeGrant: Handler<typeof RevokeGrant, Pick<Deps, 'grants'>> = async (_input, { grant }, { grants }) => {
  await grants.remove(grant!);
};

export const retireGrant: Handler<typeof RetireGrant, Pick<Deps, 'grants'>> = async (_input, { grant }, { grants }) => {
  await grants.remove(grant!);
};

function limitOf(limit: number | undefined): number {
  return Math.min(limit ?? DEFAULT_LIMIT, MAX_LIMIT);
}

async function answerOf(
  { items, next }: Page<Grant>,
  { marker, askedBy }: { readonly marker?: string | undefined; readonly askedBy: string },
  deps: ListDeps,
) {
  const isThere = await whoIsThere(items, deps.users, askedBy);
  return {
    Grants: items.map((grant) => entryOf(grant, deps.partition, isThere)),
    ...(marker !== undefined && { NextMarker: marker }),
    Truncated: next !== undefined,
  };
}

type IsThere = (arn: string, id: string) => boolean;

/** Looks each principal up once, because the grants of a page often name the same one. */
async function whoIsThere(grants: readonly Grant[], users: Deps['users'], askedBy: string): Promise<IsThere> {
  const arns = grants.flatMap(({ grantee, granteeId, retiring, retiringId }) => [
    ...(granteeId === undefined ? [] : [grantee]),
    ...(retiring === undefined || retiringId === undefined ? [] : [retiring]),
  ]);
  const ids = await Promise.all([...new Set(arns)].map(async (arn) => [arn, await users.idOf(arn, askedBy)] as const));
  const idsByArn = new Map(ids);
  return (arn, id) => idsByArn.get(arn) === id;
}

function entryOf(grant: Grant, partition: string, isThere: IsThere) {
  const { grantee, granteeId, retiring, retiringId, constraints } = grant;
  // AWS shows deleted principals by unique id.
  const shownAs = (arn: string, id = ''): string => (id === '' || isThere(arn, id) ? arn : id);
  const shown = shownConstraints(constraints);
  return {
    KeyId: keyArn({ ...grant, partition }, grant.keyId),
    GrantId: grant.grantId,
    Name: grant.name ?? '',
    CreationDate: grant.createdAt,
    ...(isService(grantee) ? { GranteeServicePrincipal: grantee } : { GranteePrincipal: shownAs(grantee, granteeId) }),
    ...(retiring !== undefined &&
      (isService(retiring)
        ? { RetiringServicePrincipal: retiring }
        : { RetiringPrincipal: shownAs(retiring, retiringId) })),
    IssuingAccount: `arn:${partition}:iam::${grant.issuingAccount}:root`,
    Operations: [...grant.operations],
    ...(Object.keys(shown).length > 0 && { Constraints: shown }),
  };
}

/** Throws unless a list names exactly one principal, from the caller's account. */
export function assertOwnRetiring(
  input: { readonly RetiringPrincipal?: string | undefined; readonly RetiringServicePrincipal?: string | undefined },
  { accountId }: { readonly accountId: string },
): void {
  const { RetiringPrincipal: principal, RetiringServicePrincipal: service } = input;
  if ((principal === undefined) === (service === undefined)) {
    const message = 'Specify either RetiringPrincipal or RetiringServicePrincipal.';
    throw new KmsException('ValidationException', message);
  }
  if (principal !== undefined && accountOfPrincipal(principal) !== accountId) {
    throw new KmsException('InvalidArnException', `ARN does not refer to a valid principal: ${principal}`);
  }
}
