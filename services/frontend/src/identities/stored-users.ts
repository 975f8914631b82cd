import { accountOfPrincipal } from '@keyfleet/shared/arn';
import type { Users } from '../policy/users.ts';
import type { IdentityStore } from '../store/store.ts';
import { identityArn } from './callers.ts';
import type { IamStore } from './iam-store.ts';

interface Deps {
  readonly iam: Pick<IamStore, 'find'>;
  readonly accessKeys: Pick<IdentityStore, 'findFirstAccessKey'>;
  readonly partition: string;
}

const identityForm = /^arn:[^:]+:iam::\d{12}:(user|role)\/(?:.+\/)?([^/]+)$/;
const sessionForm = /^arn:[^:]+:sts::\d{12}:assumed-role\/([^/]+)\/([^/]+)$/;

/** Knows which users and roles exist, and hence whose sessions can exist. */
export class StoredUsers implements Users {
  readonly #deps: Deps;

  constructor(deps: Deps) {
    this.#deps = deps;
  }

  async idOf(arn: string): Promise<string | undefined> {
    const { iam, accessKeys, partition } = this.#deps;
    const accountId = accountOfPrincipal(arn);
    if (accountId === undefined) return undefined;
    const [, role, session] = sessionForm.exec(arn) ?? [];
    if (role !== undefined) {
      const record = await iam.find(accountId, 'role', role);
      return record?.name === role ? `${record.id}:${session}` : undefined;
    }
    const [, kind, name] = identityForm.exec(arn) ?? [];
    if (kind === undefined || name === undefined) return undefined;
    const record = await iam.find(accountId, kind as 'user' | 'role', name);
    if (record !== undefined) return identityArn(partition, record) === arn ? record.id : undefined;
    // The first administrator is recorded when it first signs.
    const first = await accessKeys.findFirstAccessKey(accountId);
    return first?.principal === arn && first.policies.length > 0 ? first.userId : undefined;
  }
}
