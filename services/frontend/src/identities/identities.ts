import type { Clock } from '@keyfleet/shared/clock';
import type { Changes } from '../store/change-feed.ts';
import type { Recall } from '../store/last-known.ts';
import { ReadCache } from '../store/read-cache.ts';
import { SharedReads } from '../store/shared-reads.ts';
import { type AccessKeyRecord, DamagedRecordError } from '../store/store.ts';
import type { AccountVersions } from './account-versions.ts';
import { adoptFirstUser, type FirstUserStores, hasAccessKey, namesOfOwner } from './first-user.ts';
import type { ChargedIam, IamStore } from './iam-store.ts';
import { type Identity, loadIdentity } from './identity.ts';
import type { RoleRecord, UserRecord } from './iam-records.ts';

const MAX_BYTES = 32 * 1024 * 1024;
/** The rough size of an object with its small members. */
const OBJECT_BYTES = 2_000;

/** An identity, and its account's version when the read began. */
interface Known {
  readonly identity: Identity;
  readonly version: number;
}

type Found<R extends UserRecord | RoleRecord> = Identity<R> | undefined;

export interface IdentitiesDeps {
  readonly charged: ChargedIam;
  readonly accessKeys: FirstUserStores['accessKeys'];
  readonly changes: Changes;
  readonly versions: AccountVersions;
  readonly clock: Clock;
}

/**
 * Cached identities of recent signers, with their permissions. Any change in an account makes all of its identities be
 * read again.
 */
export class Identities {
  readonly #charged: ChargedIam;
  readonly #accessKeys: IdentitiesDeps['accessKeys'];
  readonly #changes: Changes;
  readonly #clock: Clock;
  readonly #cache: ReadCache<Known>;
  readonly #versions: AccountVersions;
  /** By name and version: a change that is heard meanwhile begins another. */
  readonly #reading: SharedReads<Known | undefined>;

  constructor({ charged, accessKeys, changes, versions, clock }: IdentitiesDeps) {
    this.#charged = charged;
    this.#accessKeys = accessKeys;
    this.#changes = changes;
    this.#clock = clock;
    this.#reading = new SharedReads(changes);
    this.#cache = new ReadCache({ trust: changes, weightOf, maxWeight: MAX_BYTES });
    this.#versions = versions;
  }

  clear(): void {
    this.#cache.clear();
    this.#reading.forgetAll();
  }

  /** The user that owns an access key, if the key is active. Almost always cached; otherwise a promise. */
  ownerOf(accessKey: AccessKeyRecord, recall: Recall): Found<UserRecord> | Promise<Found<UserRecord>> {
    const { accountId, accessKeyId, userId } = accessKey;
    const isOwner = ({ record }: Identity): boolean =>
      record.kind === 'user' &&
      record.id === userId &&
      record.accessKeys.some((key) => key.accessKeyId === accessKeyId && key.status === 'Active');
    const found = this.#find(accountId, `access-key/${accessKeyId}`, (iam) => this.#loadOwner(accessKey, iam), recall);
    return onlyIf(isOwner, found) as Found<UserRecord> | Promise<Found<UserRecord>>;
  }

  /** `id`: IAM's unique id, because a name may have been reused. */
  find<K extends 'user' | 'role'>(
    accountId: string,
    { kind, name, id }: { readonly kind: K; readonly name: string; readonly id: string },
    recall: Recall,
  ):
    | Found<Extract<UserRecord | RoleRecord, { kind: K }>>
    | Promise<Found<Extract<UserRecord | RoleRecord, { kind: K }>>> {
    const isIt = ({ record }: Identity): boolean => record.kind === kind && record.id === id;
    const load = (iam: IamStore) => loadIdentity(iam, { accountId, kind, name });
    return onlyIf(isIt, this.#find(accountId, `${kind}/${name}`, load, recall)) as never;
  }

  /** The user who has this name now: for users that operators configure by name. */
  findUser(accountId: string, name: string, recall: Recall): Found<UserRecord> | Promise<Found<UserRecord>> {
    const load = (iam: IamStore) => loadIdentity(iam, { accountId, kind: 'user', name });
    return this.#find(accountId, `user/${name}`, load, recall) as Found<UserRecord> | Promise<Found<UserRecord>>;
  }

  async #loadOwner(accessKey: AccessKeyRecord, iam: IamStore): Promise<Identity | undefined> {
    const { accountId, accessKeyId, policies } = accessKey;
    let damage: DamagedRecordError | undefined;
    for await (const name of namesOfOwner(iam, accessKey)) {
      const user = await iam.find(accountId, 'user', name).catch((error: unknown) => {
        if (!(error instanceof DamagedRecordError)) throw error;
        damage = error;
      });
      if (user === undefined || !hasAccessKey(user, accessKeyId)) continue;
      const identity = await loadIdentity(iam, { accountId, kind: 'user', name });
      // The user was recorded by a release whose access keys kept their policies.
      if (policies.length > 0) await this.#accessKeys.forgetPolicies(accessKeyId);
      return identity;
    }
    if (damage !== undefined) throw damage;
    const stores = { store: iam, accessKeys: this.#accessKeys };
    const name = await adoptFirstUser(stores, accessKeyId, this.#clock.now());
    return name === undefined ? undefined : loadIdentity(iam, { accountId, kind: 'user', name });
  }

  #find(
    accountId: string,
    place: string,
    load: (iam: IamStore) => Promise<Identity | undefined>,
    recall: Recall,
  ): Identity | undefined | Promise<Identity | undefined> {
    const name = `${accountId}/${place}`;
    const version = this.#versions.of(accountId);
    const read = () =>
      this.#reading.read(`${name} ${version}`, async () => {
        const identity = await this.#charged(accountId, load);
        return identity && { identity, version };
      });
    if (recall && this.#changes.servesLastKnown) return this.#findWhileAway(name, version, read, recall);
    const known = this.#cache.get(name, read);
    if (known instanceof Promise) return known.then((found) => found?.identity);
    if (known.version === version) return known.identity;
    this.#cache.invalidate(name);
    const fresh = this.#cache.get(name, read);
    return fresh instanceof Promise ? fresh.then((found) => found?.identity) : fresh.identity;
  }

  /** While the change feed is interrupted: from the store if it answers, else the last known value. */
  async #findWhileAway(
    name: string,
    version: number,
    read: () => Promise<Known | undefined>,
    recall: NonNullable<Recall>,
  ): Promise<Identity | undefined> {
    const known = this.#cache.lastKnown(name);
    if (known?.version !== version) return (await this.#cache.get(name, read))?.identity;
    return (await recall.readOr(known, read))?.identity;
  }
}

function onlyIf(
  isIt: (identity: Identity) => boolean,
  found: Identity | undefined | Promise<Identity | undefined>,
): Identity | undefined | Promise<Identity | undefined> {
  if (found instanceof Promise) return found.then((identity) => (identity && isIt(identity) ? identity : undefined));
  return found && isIt(found) ? found : undefined;
}

function weightOf({ identity: { policies, boundary = '', tags } }: Known): number {
  const characters = policies.reduce((sum, { id, document }) => sum + id.length + document.length, boundary.length);
  const inTags = [...tags].reduce((sum, [key, value]) => sum + key.length + value.length, 0);
  return OBJECT_BYTES + 100 * tags.size + 2 * (characters + inTags);
}
