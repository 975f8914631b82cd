import { accessKeyLinkOf } from '@keyfleet/shared/stored/iam';
import type { AccessKeyRecord, IdentityStore } from '../store/store.ts';
import type { IamStore } from './iam-store.ts';
import type { RoleRecord, UserRecord } from './iam-records.ts';

/** The policy of an account's first administrator. */
export const ADMINISTRATOR_POLICY = JSON.stringify({
  Version: '2012-10-17',
  Statement: [{ Effect: 'Allow', Action: '*', Resource: '*' }],
});

/** That policy in the first release, when there was nothing else to administer. */
const FIRST_RELEASE_POLICY = JSON.stringify({
  Version: '2012-10-17',
  Statement: [{ Effect: 'Allow', Action: ['kms:*', 'sts:*'], Resource: '*' }],
});

export interface FirstUserStores {
  readonly store: Pick<IamStore, 'insert'>;
  readonly accessKeys: Pick<IdentityStore, 'findAccessKey' | 'forgetPolicies'>;
}

/**
 * An account begins with only an access key, whose record states its user's permissions; the first release had nothing
 * else. On the key's first use the user is recorded, once. The access key's record then drops the permissions, so that
 * a removed user does not come back. It keeps them where another has the user's name. Returns that name; undefined for
 * an access key whose user is gone.
 */
export async function adoptFirstUser(
  { store, accessKeys }: FirstUserStores,
  accessKeyId: string,
  createdAt: number,
): Promise<string | undefined> {
  // Reads the stored record: a cached one may date from before its user was recorded and removed again.
  const stored = await accessKeys.findAccessKey(accessKeyId);
  const user = stored && firstUserOf(stored, createdAt);
  if (user === undefined) return undefined;
  // Nobody else is there yet: what fills the account's list, somebody put there.
  const outcome = await store.insert(user, Number.MAX_SAFE_INTEGER);
  if (outcome === 'done') await accessKeys.forgetPolicies(accessKeyId);
  return user.name;
}

/** Far more than one: somebody may have put others before it. */
const MOST_LINKS = 1_000;

/**
 * Of users that may have the access key; their records decide. The access key's own record names the user as it was
 * called when it was made. The links that say who else may have it have no MAC.
 */
export async function* namesOfOwner(
  store: Pick<IamStore, 'listLinks'>,
  { accountId, accessKeyId, principal }: Pick<AccessKeyRecord, 'accountId' | 'accessKeyId'> & { principal?: string },
): AsyncGenerator<string> {
  const [, , name] = userIn(principal ?? '');
  if (name !== undefined) yield name;
  const { items } = await store.listLinks(accountId, accessKeyLinkOf(accessKeyId), MOST_LINKS);
  for (const field of items) yield field.slice('user/'.length);
}

export function hasAccessKey(record: UserRecord | RoleRecord, accessKeyId: string): boolean {
  return record.kind === 'user' && record.accessKeys.some((key) => key.accessKeyId === accessKeyId);
}

/** Its path and name. */
function userIn(principal: string): readonly (string | undefined)[] {
  return /:user(\/(?:.+\/)?)([^/]+)$/.exec(principal) ?? [];
}

function firstUserOf(
  { accessKeyId, accountId, principal, userId, policies }: AccessKeyRecord,
  createdAt: number,
): UserRecord | undefined {
  const [, path, name] = userIn(principal);
  if (policies.length === 0 || path === undefined || name === undefined) return undefined;
  return {
    kind: 'user',
    schemaVersion: 1,
    revision: 1,
    accountId,
    name,
    path,
    id: userId,
    createdAt,
    tags: [],
    groups: [],
    attached: [],
    inline: policies.map((document, i) => ({
      name: i === 0 ? 'Administrator' : `Administrator-${i}`,
      document: document === FIRST_RELEASE_POLICY ? ADMINISTRATOR_POLICY : document,
    })),
    accessKeys: [{ accessKeyId, status: 'Active', createdAt }],
  };
}
