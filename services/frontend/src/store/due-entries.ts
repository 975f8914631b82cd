import { DUE_SHARDS } from '@keyfleet/shared/due-queue';
import { crc32 } from 'node:zlib';
import type { KmsKey } from '../keys/kms-key.ts';
import type { DueKey } from './store.ts';

/** Which of the lists a key's entries are in. */
export function dueShardOf({ region, keyId }: Pick<KmsKey, 'region' | 'keyId'>): number {
  return crc32(`${region}/${keyId}`) % DUE_SHARDS;
}

/** A list is in the order of its entries' dates. Another date is another entry, so that no writer takes away what another one needs. */
export function dueEntryOf({ region, accountId, keyId }: KmsKey, date: number): string {
  return `${hexOf(date)}/${region}/${accountId}/${keyId}`;
}

/** Comes right after the entries of `date`. */
export function endOf(date: number): string {
  return hexOf(date + 1);
}

export function dueKeyOf(entry: string): DueKey {
  const [, region = '', accountId = '', keyId = ''] = entry.split('/');
  return { entry, region, accountId, keyId };
}

function hexOf(date: number): string {
  return date.toString(16).padStart(12, '0');
}
