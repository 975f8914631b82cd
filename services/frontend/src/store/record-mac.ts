import { createHmac, type KeyObject, timingSafeEqual } from 'node:crypto';
import { defineFormat } from '@keyfleet/shared/encoding/canonical';
import { z } from 'zod';

/** Where a record lies in Redis: that it is there is part of what is authenticated. */
export interface RecordPlace {
  /** With its hash tag. */
  readonly name: string;
  /** Of a hash. */
  readonly field?: string;
}

/** What is authenticated. The record is the JSON text as it was written, not what somebody reads out of it. */
const RecordFormat = defineFormat(
  'keyfleet/record/1',
  z.object({ name: z.string(), field: z.string().optional(), record: z.string() }),
);

/** A record as it is stored, taken apart. */
export interface StoredRecord {
  readonly record: string;
  /** Which of the fleet's record keys its MAC is made with. */
  readonly keyNumber: number;
  /** HMAC-SHA-256 in base64url. */
  readonly mac: string;
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
 * The MAC stands in the JSON object as its last member, so that scripts and readers of a part find everything else
 * where it was.
 */
export function joinMac({ record, keyNumber, mac }: StoredRecord): string {
  return `${record.slice(0, -1)}${START}${keyNumber}.${mac}"}`;
}

/** Undefined when it has none. */
export function splitMac(stored: string): StoredRecord | undefined {
  const at = stored.lastIndexOf(START);
  const [, keyNumber, mac] = at < 0 ? [] : (form.exec(stored.slice(at + START.length)) ?? []);
  if (keyNumber === undefined || mac === undefined) return undefined;
  return { record: `${stored.slice(0, at)}}`, keyNumber: Number(keyNumber), mac };
}
