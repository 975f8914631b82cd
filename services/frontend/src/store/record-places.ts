import { type GrantedKey, grantsAt } from '@keyfleet/shared/stored/grants';
import { iamFieldOf, type IamKind } from '@keyfleet/shared/stored/iam';
import {
  accessKeyAt,
  accessKeyUseAt,
  aliasesAt,
  eventsAt,
  iamAt,
  keyAt,
  type Scope,
} from '@keyfleet/shared/stored/names';
import type { RecordPlace } from './record-mac.ts';

/** Where each kind of record is stored. */

export function keyPlace(region: string, keyId: string): RecordPlace & { readonly field: string } {
  return { name: keyAt(region, keyId), field: 'record' };
}
export function lastUsagePlace(region: string, keyId: string): RecordPlace & { readonly field: string } {
  return { name: keyAt(region, keyId), field: 'lastUsage' };
}
/** A key's events that are yet to be recorded. */
export function eventPlace({ region, keyId }: { region: string; keyId: string }, id: string): RecordPlace {
  return { name: eventsAt(region, keyId), field: id };
}
export function aliasPlace(scope: Scope, name: string): RecordPlace {
  return { name: aliasesAt(scope)[0], field: name };
}
export function accessKeyPlace(accessKeyId: string): RecordPlace {
  return { name: accessKeyAt(accessKeyId) };
}
export function accessKeyUsePlace(accessKeyId: string): RecordPlace {
  return { name: accessKeyUseAt(accessKeyId) };
}
export function iamPlace(accountId: string, kind: IamKind, name: string): RecordPlace & { readonly field: string } {
  return { name: iamAt(accountId)[0], field: iamFieldOf(kind, name) };
}
export function grantPlace(key: GrantedKey, grantId: string): RecordPlace {
  return { name: grantsAt(key)[0], field: grantId };
}
