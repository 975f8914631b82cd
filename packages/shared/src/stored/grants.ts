import { createHash } from 'node:crypto';
import { z } from 'zod';
import { permissionsOf, permittedTo } from './grant-permissions.ts';

/** The key that grants belong to. */
export interface GrantedKey {
  readonly region: string;
  readonly keyId: string;
}

/**
 * The names of a key's grants: the records by their ids, then the index derived from them. They share the key's hash
 * tag, so that no grant is made for a key that is gone.
 */
export function grantsAt({ region, keyId }: GrantedKey): readonly [string, string] {
  const tag = `{${region}/${keyId}}`;
  return [`kf:grants:${tag}`, `kf:grant-index:${tag}`];
}

/** Undefined if it does not name grants. */
export function keyOfGrants(name: string): GrantedKey | undefined {
  const [, region, keyId] = /^kf:grants:\{([^/]+)\/([^/]+)\}$/.exec(name) ?? [];
  return region === undefined || keyId === undefined ? undefined : { region, keyId };
}

/** The grants that a principal may retire, for keys of any account; derived from the records. */
export function retirableAt(region: string, principal: string): string {
  return `kf:retirable:{${region}/${principal}}`;
}

/** An entry of that list: it locates the grant's record. */
export function retirableEntryOf({ keyId, grantId }: { readonly keyId: string; readonly grantId: string }): string {
  return `${keyId}/${grantId}`;
}
export function grantOfRetirableEntry(entry: string): { readonly keyId: string; readonly grantId: string } {
  const [keyId = '', grantId = ''] = entry.split('/');
  return { keyId, grantId };
}

/** Of the text of an encryption context. */
const Context = z.string().max(8192);
/** AWS allows eight. */
const Pairs = z.array(z.tuple([Context, Context])).max(64);
const Id = z.string().max(256);
const Principal = z.string().max(2048);

/**
 * The members that lists are derived from; only frontends know the rest of a record. Principals contain no spaces, so a
 * space separates. Whoever once wrote to Redis may have left a record of a megabyte that would have a hundred thousand
 * entries.
 */
export const ListedGrant = z.object({
  grantId: Id,
  keyId: Id,
  region: Id,
  name: Id.optional(),
  grantee: Principal,
  granteeId: Principal.optional(),
  retiring: Principal.optional(),
  retiringId: Principal.optional(),
  issuingAccount: Id,
  operations: z.array(Id).max(64),
  constraints: z.object({
    encryptionContextEquals: Pairs.optional(),
    encryptionContextSubset: Pairs.optional(),
    sourceArn: Principal.optional(),
  }),
});
export type ListedGrant = z.output<typeof ListedGrant>;

/** A grant's entries in the index; each ends in the grant's id. */
export function grantIndexOf(grant: ListedGrant): readonly string[] {
  const named = namedEntriesOf(grant);
  const prefixes = [ALL_GRANTS, entriesOfGrantee(grant.grantee), ...(named === undefined ? [] : [named])];
  return [...prefixes.map((prefix) => prefix + grant.grantId), ...permissionEntriesOf(grant)];
}

/** The entries among them that grants of older releases lack. */
export function permissionEntriesOf(grant: ListedGrant): readonly string[] {
  return [permittedTo(grant.grantee), ...permissionsOf(grant)].map((prefix) => prefix + grant.grantId);
}

// Prefixes of entries.

export const ALL_GRANTS = 'id ';

export function entriesOfGrantee(grantee: string): string {
  return `grantee ${grantee} `;
}

/**
 * For grants requested with the same name and otherwise alike, of which there is at most one. Undefined for a grant
 * without a name.
 */
export function namedEntriesOf(grant: Omit<ListedGrant, 'grantId'>): string | undefined {
  const { name, grantee, granteeId, retiring, retiringId, issuingAccount, operations, constraints } = grant;
  if (name === undefined) return undefined;
  // Grants from before there were ids keep their entries.
  const ids = granteeId === undefined && retiringId === undefined ? [] : [granteeId ?? null, retiringId ?? null];
  const told = [name, grantee, retiring ?? null, issuingAccount, operations.toSorted(), inOrder(constraints), ...ids];
  return `name ${createHash('sha256').update(JSON.stringify(told)).digest('hex')} `;
}

/** The same text for the same value, whatever the order of its members. */
function inOrder(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value;
  const members = Object.entries(value).toSorted(([a], [b]) => (a < b ? -1 : 1));
  return members.map(([name, member]) => [name, inOrder(member)]);
}
