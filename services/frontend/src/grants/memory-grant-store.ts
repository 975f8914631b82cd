import { type GrantedKey, ListedGrant, namedEntriesOf, retirableEntryOf } from '@keyfleet/shared/stored/grants';
import { formOf, permissionsOf } from '@keyfleet/shared/stored/grant-permissions';
import { type Page, pageOf } from '../store/store.ts';
import { permissionsFor, type GrantQuestion } from './constraints.ts';
import { FEW, type FewGrants, type GrantStore, type InsertGrantOutcome, tooMany } from './grant-store.ts';
import { decodeGrant, encodeGrant } from './grant-records.ts';
import type { Grant } from './grant.ts';

/** Grants in memory: for tests, and as the reference for the Redis store. */
export class MemoryGrantStore implements GrantStore {
  readonly #grants = new Map<string, Grant>();
  readonly #keyExists: (key: GrantedKey) => Promise<boolean>;

  constructor(keyExists: (key: GrantedKey) => Promise<boolean>) {
    this.#keyExists = keyExists;
  }

  async insert(grant: Grant, quota: number): Promise<InsertGrantOutcome> {
    if (!(await this.#keyExists(grant))) return 'gone';
    const named = namedEntriesOf(listed(grant));
    const ofKey = this.#of(grant);
    const same = ofKey.find((other) => named !== undefined && namedEntriesOf(listed(other)) === named);
    if (same) return { existing: same.grantId };
    if (ofKey.length >= quota) return 'full';
    // Stored as it would be read back.
    this.#grants.set(placeOf(grant, grant.grantId), decodeGrant(encodeGrant(grant), grant, grant.grantId));
    return 'done';
  }

  async find(key: GrantedKey, grantId: string): Promise<Grant | undefined> {
    return this.#grants.get(placeOf(key, grantId));
  }

  async grantsOf(key: GrantedKey, grantee: string): Promise<FewGrants> {
    const found = this.#of(key).filter((grant) => grant.grantee === grantee);
    return found.length > FEW ? tooMany : found;
  }

  async *candidates(key: GrantedKey, grantee: string, question: GrantQuestion): AsyncGenerator<readonly Grant[]> {
    const { ofForm } = permissionsFor(grantee, question);
    const mayAllow = (permission: string): boolean => ofForm(formOf(permission)) === permission;
    yield this.#of(key).filter((grant) => grant.grantee === grantee && permissionsOf(grant).some(mayAllow));
  }

  async remove(grant: Grant): Promise<boolean> {
    return this.#grants.delete(placeOf(grant, grant.grantId));
  }

  async list(key: GrantedKey, grantee: string | undefined, limit: number, after = ''): Promise<Page<Grant>> {
    const wanted = this.#of(key).filter((grant) => grantee === undefined || grant.grantee === grantee);
    return pageOf(wanted, { nameOf: ({ grantId }) => grantId, limit, after });
  }

  async listRetirable(region: string, principal: string, limit: number, after = ''): Promise<Page<Grant>> {
    const wanted = this.#grants.values().filter((grant) => grant.region === region && grant.retiring === principal);
    return pageOf(wanted.toArray(), { nameOf: retirableEntryOf, limit, after });
  }

  async clear(key: GrantedKey): Promise<void> {
    for (const grant of this.#of(key)) await this.remove(grant);
  }

  #of({ region, keyId }: GrantedKey): Grant[] {
    return this.#grants
      .values()
      .filter((grant) => grant.region === region && grant.keyId === keyId)
      .toArray();
  }
}

function listed(grant: Grant) {
  return ListedGrant.parse(JSON.parse(encodeGrant(grant)));
}

function placeOf({ region, keyId }: GrantedKey, grantId: string): string {
  return `${region}/${keyId}/${grantId}`;
}
