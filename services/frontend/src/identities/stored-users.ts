import { accountOfPrincipal } from '@keyfleet/shared/arn';
import type { Users } from '../policy/users.ts';
import { ReadCache, type Trust } from '../store/read-cache.ts';
import type { IdentityStore } from '../store/store.ts';
import type { AccountVersions } from './account-versions.ts';
import { identityArn } from './callers.ts';
import type { ChargedIam, IamStore } from './iam-store.ts';

interface Deps {
  readonly charged: ChargedIam;
  readonly accessKeys: Pick<IdentityStore, 'findFirstAccessKey'>;
  readonly partition: string;
  readonly changes: Trust;
  readonly versions: AccountVersions;
}

/** What is known of an ARN, and its account's version when the read began. */
interface Known {
  /** Undefined: there is nobody. */
  readonly id: string | undefined;
  readonly version: number;
}

const MAX_BYTES = 8 * 1024 * 1024;
const OBJECT_BYTES = 300;
/** Of an ARN (IAM API Reference, "arnType"). A policy may name what is longer, and then nobody. */
const MAX_ARN_LENGTH = 2_048;

const identityForm = /^arn:[^:]+:iam::\d{12}:(user|role)\/(?:.+\/)?([^/]+)$/;
const sessionForm = /^arn:[^:]+:sts::\d{12}:assumed-role\/([^/]+)\/([^/]+)$/;

/**
 * Knows which users and roles exist, and hence whose sessions can exist. An answer is kept: one policy may name a
 * thousand, and each costs a record.
 */
export class StoredUsers implements Users {
  readonly #deps: Deps;
  readonly #cache: ReadCache<Known>;

  constructor(deps: Deps) {
    this.#deps = deps;
    const weightOf = (_: Known, arn: string): number => OBJECT_BYTES + 2 * arn.length;
    this.#cache = new ReadCache({ trust: deps.changes, weightOf, maxWeight: MAX_BYTES });
  }

  clear(): void {
    this.#cache.clear();
  }

  async idOf(arn: string, askedBy: string): Promise<string | undefined> {
    const accountId = accountOfPrincipal(arn);
    if (accountId === undefined || arn.length > MAX_ARN_LENGTH) return undefined;
    const version = this.#deps.versions.of(accountId);
    const read = () => this.#deps.charged(askedBy, (iam) => this.#read(iam, arn, { accountId, version }));
    const known = await this.#cache.get(arn, read);
    if (known === undefined || known.version === version) return known?.id;
    this.#cache.invalidate(arn);
    return (await this.#cache.get(arn, read))?.id;
  }

  /** Undefined while nothing is known of the account, which may be about to be made. */
  async #read(
    iam: IamStore,
    arn: string,
    { accountId, version }: { readonly accountId: string; readonly version: number },
  ): Promise<Known | undefined> {
    const { accessKeys, partition } = this.#deps;
    const [, role, session] = sessionForm.exec(arn) ?? [];
    if (role !== undefined) {
      const record = await iam.find(accountId, 'role', role);
      return { id: record?.name === role ? `${record.id}:${session}` : undefined, version };
    }
    const [, kind, name] = identityForm.exec(arn) ?? [];
    if (kind === undefined || name === undefined) return { id: undefined, version };
    const record = await iam.find(accountId, kind as 'user' | 'role', name);
    if (record !== undefined) return { id: identityArn(partition, record) === arn ? record.id : undefined, version };
    // The first administrator is recorded when it first signs.
    const first = await accessKeys.findFirstAccessKey(accountId);
    if (first === undefined) return undefined;
    return { id: first.principal === arn && first.policies.length > 0 ? first.userId : undefined, version };
  }
}
