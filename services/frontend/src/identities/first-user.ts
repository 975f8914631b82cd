import type { AccessKeyRecord } from '../store/store.ts';
import type { IamStore } from './iam-store.ts';
import { IAM_QUOTAS } from './quotas.ts';
import type { UserRecord } from './iam-records.ts';

/** The policy of an account's first administrator. */
export const ADMINISTRATOR_POLICY = JSON.stringify({
  Version: '2012-10-17',
  Statement: [{ Effect: 'Allow', Action: '*', Resource: '*' }],
});

/** What it was in the first release, in which there was nothing else to administer. */
const FIRST_RELEASE_POLICY = JSON.stringify({
  Version: '2012-10-17',
  Statement: [{ Effect: 'Allow', Action: ['kms:*', 'sts:*'], Resource: '*' }],
});

/**
 * An account begins with an access key alone, whose record says what its user may do; the first release knew nothing
 * else. When it is first used, the user is recorded. Answers the user's name; undefined for an access key whose user is
 * gone. A key is removed before its user lets go of it, so that no removed user comes back this way.
 */
export async function adoptFirstUser(
  store: Pick<IamStore, 'insert'>,
  { accessKeyId, accountId, principal, userId, policies }: AccessKeyRecord,
  createdAt: number,
): Promise<string | undefined> {
  const [, path, name] = /:user(\/(?:.+\/)?)([^/]+)$/.exec(principal) ?? [];
  if (policies.length === 0 || path === undefined || name === undefined) return undefined;
  const user: UserRecord = {
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
  await store.insert(user, IAM_QUOTAS.user);
  return name;
}
