import type { Scope } from '@keyfleet/shared/stored/names';

/** What a change of a key is called; a cache keeps the key under the same name. */
export function keyName(region: string, keyId: string): string {
  return `key ${region}/${keyId}`;
}

export function aliasName({ accountId, region }: Scope, name: string): string {
  return `alias ${accountId}/${region}/${name}`;
}

/** What changes when anybody is granted anything of a key, or no longer: all grants of one principal. */
export function grantsName({ region, keyId }: { region: string; keyId: string }, grantee: string): string {
  return `grants ${region}/${keyId} ${grantee}`;
}

/** Of any custom key store of an account's Region. */
export function keyStoresName({ accountId, region }: Scope): string {
  return `key-stores ${accountId}/${region}`;
}

/** Of anything in an account's IAM records: what an identity may do is put together from many of them. */
export function iamChangeOf(accountId: string): string {
  return `${IAM}${accountId}`;
}

export function accountOfIamChange(name: string): string | undefined {
  return name.startsWith(IAM) ? name.slice(IAM.length) : undefined;
}

const IAM = 'iam ';

/** That a record was written or removed, durably: told after the change itself. */
export function acknowledgedChange(id: string, revision: number): string {
  return `acknowledged ${revision} ${id}`;
}

export function readAcknowledgedChange(change: string): { readonly id: string; readonly revision: number } | undefined {
  const [, revision, id] = /^acknowledged (\d{1,16}) (.+)$/s.exec(change) ?? [];
  return id === undefined ? undefined : { id, revision: Number(revision) };
}

/** What is acknowledged of records that have an id of their own, which no other ever has. */

export function iamRecordName({ kind, accountId, id }: { kind: string; accountId: string; id: string }): string {
  return `${kind} ${accountId}/${id}`;
}
export function grantName({ region, keyId, grantId }: { region: string; keyId: string; grantId: string }): string {
  return `grant ${region}/${keyId}/${grantId}`;
}
export function accessKeyName(accessKeyId: string): string {
  return `access key ${accessKeyId}`;
}
