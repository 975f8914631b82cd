import { isUtf8 } from 'node:buffer';
import { createHmac, type KeyObject, timingSafeEqual } from 'node:crypto';
import { defineFormat } from '@keyfleet/shared/encoding/canonical';
import { z } from 'zod';
import { DamagedRecordError } from './store.ts';

/** Where a record is stored in Redis; the place is part of what is authenticated. */
export interface RecordPlace {
  /** Includes the hash tag. */
  readonly name: string;
  /** The field, if the record is in a hash. */
  readonly field?: string;
}

/**
 * The text of what lies there, or what is wrong with it. Bytes that are no UTF-8 would be read as U+FFFD, and have the
 * MAC of a record with that in their place: its text would not be what lies there, which a change is compared with.
 */
export function storedText(place: RecordPlace, stored: Buffer): string | DamagedRecordError {
  return isUtf8(stored) ? stored.toString() : notAuthentic(place, 'it is no UTF-8');
}

export function notAuthentic({ name, field }: RecordPlace, why: string): DamagedRecordError {
  const record = field === undefined ? name : `${name} ${field}`;
  return new DamagedRecordError(
    `the record ${record} is not authentic: ${why}. No frontend wrote it there: restore it from a backup (docs/recovery.md)`,
  );
}

/** The authenticated bytes. The record is its JSON text as written, not a reader's parse of it. */
const RecordFormat = defineFormat(
  'keyfleet/record/1',
  z.object({ name: z.string(), field: z.string().optional(), record: z.string() }),
);

/** A stored record, split into its parts. */
export interface StoredRecord {
  readonly record: string;
  /** The number of the fleet's record key that made the MAC. */
  readonly keyNumber: number;
  /** HMAC-SHA-256 in base64url. */
  readonly mac: string;
}

/** A record as it shall be stored. Only what has one of these is a new record: the fence holds for it. */
export interface AuthenticRecord {
  /** With its MAC. */
  readonly text: string;
  readonly keyNumber: number;
}

/** HMAC-SHA-256 in base64url. */
export function recordMac(key: KeyObject, { name, field }: RecordPlace, record: string): string {
  return createHmac('sha256', key).update(RecordFormat.encode({ name, field, record })).digest('base64url');
}

export function isMacOf(key: KeyObject, place: RecordPlace, { record, mac }: StoredRecord): boolean {
  return timingSafeEqual(Buffer.from(mac), Buffer.from(recordMac(key, place, record)));
}

const START = ',"mac":"';
const form = /^([1-9]\d{0,8})\.([\w-]{43})"\}$/;

/**
 * The MAC is the last member of the JSON object, so that scripts and partial readers find everything else in its place.
 */
export function joinMac({ record, keyNumber, mac }: StoredRecord): string {
  return `${record.slice(0, -1)}${START}${keyNumber}.${mac}"}`;
}

/** Undefined if it has no MAC. */
export function splitMac(stored: string): StoredRecord | undefined {
  const at = stored.lastIndexOf(START);
  const [, keyNumber, mac] = at < 0 ? [] : (form.exec(stored.slice(at + START.length)) ?? []);
  if (keyNumber === undefined || mac === undefined) return undefined;
  return { record: `${stored.slice(0, at)}}`, keyNumber: Number(keyNumber), mac };
}
