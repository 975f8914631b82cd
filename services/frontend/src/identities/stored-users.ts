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
const sessionForm = /^arn:[^:]+:sts::\d{12}:assumed-role\/([^/]+)\/[^/]+$/;

/** Which users and roles an account has, and so whose sessions there can be. */
export class StoredUsers implements Users {
  readonly #deps: Deps;

  constructor(deps: Deps) {
    this.#deps = deps;
  }

  async exists(accountId: string, arn: string): Promise<boolean> {
    const [, role] = sessionForm.exec(arn) ?? [];
    if (role !== undefined) return (await this.#deps.iam.find(accountId, 'role', role)) !== undefined;
    const [, kind, name] = identityForm.exec(arn) ?? [];
    if (kind === undefined || name === undefined) return false;
    const record = await this.#deps.iam.find(accountId, kind as 'user' | 'role', name);
    if (record !== undefined) return identityArn(this.#deps.partition, record) === arn;
    // The first administrator is recorded when it first signs.
    return (await this.#deps.accessKeys.findFirstAccessKey(accountId))?.principal === arn;
  }
}
