import type { Users } from '../policy/users.ts';
import type { IdentityStore } from './store.ts';

/** In this release an account has one user, the administrator that it began with. */
export class StoredUsers implements Users {
  readonly #identities: Pick<IdentityStore, 'findFirstAccessKey'>;

  constructor(identities: Pick<IdentityStore, 'findFirstAccessKey'>) {
    this.#identities = identities;
  }

  async exists(accountId: string, arn: string): Promise<boolean> {
    return (await this.#identities.findFirstAccessKey(accountId))?.principal === arn;
  }
}
