import { crc32 } from 'node:zlib';
import { DUE_SHARDS } from '../due-queue.ts';
import type { Scope } from './names.ts';

interface KeyName extends Scope {
  readonly keyId: string;
}

/** A key that may be due, and the entry that says so. */
export interface DueKey extends KeyName {
  readonly entry: string;
}

/** The parts of a key's record that determine when something must be done to it. */
interface Dated {
  readonly state: string;
  readonly deletionDate?: number | undefined;
  readonly backingKeys: readonly { readonly validTo?: number | undefined }[];
  /** Only in records from before keys took several imported materials. */
  readonly imported?: { readonly validTo?: number | undefined } | undefined;
  readonly automaticRotation?: { readonly nextDate: number } | undefined;
  readonly region: string;
  readonly related?: { readonly primary: string; readonly spreading?: boolean | undefined } | undefined;
}

/** By then a primary has told its replicas of a rotation. */
const TOLD_MS = 86_400_000;

/**
 * When the service itself must act on a key: delete it or its imported material, rotate it, or finish what was begun in
 * its other Regions. Milliseconds since the epoch; 0: as soon as nobody else does it.
 */
export function dueDateOf(key: Dated): number | undefined {
  const { state, deletionDate, backingKeys, imported, related } = key;
  if (state === 'Creating' || related?.spreading) return 0;
  const own = state === 'PendingDeletion' ? deletionDate : state === 'Enabled' ? rotationDateOf(key) : undefined;
  const expirations = [imported, ...backingKeys].map((material) => material?.validTo ?? Infinity);
  const date = Math.min(own ?? Infinity, ...expirations);
  return date === Infinity ? undefined : date;
}

/** A replica receives its primary's rotations. If one does not come, there may be no primary, as after a restore. */
function rotationDateOf({ region, related, automaticRotation }: Dated): number | undefined {
  if (automaticRotation === undefined) return undefined;
  const isReplica = related !== undefined && related.primary !== region;
  return automaticRotation.nextDate + (isReplica ? TOLD_MS : 0);
}

/** The list that holds a key's entries. */
export function dueShardOf({ region, keyId }: Pick<KeyName, 'region' | 'keyId'>): number {
  return crc32(`${region}/${keyId}`) % DUE_SHARDS;
}

/**
 * Lists are ordered by their entries' dates. `mark`: different for each write, so that no writer removes an entry that
 * another one needs.
 */
export function dueEntryOf({ region, accountId, keyId }: KeyName, date: number, mark = ''): string {
  const entry = `${hexOf(date)}/${region}/${accountId}/${keyId}`;
  return mark === '' ? entry : `${entry}/${mark}`;
}

/**
 * After a restore, for a key in several Regions, that somebody look whether its records are from one moment; undefined
 * for one that never had a replica.
 */
export function restoredEntryOf(key: KeyName & Pick<Dated, 'related'>): string | undefined {
  return key.related && dueEntryOf(key, 0, 'restored');
}

/** Sorts directly after the entries of `date`. */
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
