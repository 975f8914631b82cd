import { createHmac, type KeyObject } from 'node:crypto';
import { defineFormat } from '@keyfleet/shared/encoding/canonical';
import { z } from 'zod';
import type { FleetKeyName } from './fleet-key.ts';
import type { FleetSecretStore } from './store.ts';

/** The numbers of the existing record keys, from oldest to newest. */
export interface RecordKeyRange {
  readonly oldest: number;
  readonly newest: number;
}

export interface MadeRecordKey {
  readonly number: number;
  /** The generation of the domain key under which it was made. */
  readonly madeIn: number;
}

/** Stores record keys. */
export interface RecordKeyStore extends FleetSecretStore {
  /** The oldest key number that records may be under; undefined while nobody has noted one. */
  findOldestRecordKey(): Promise<number | undefined>;
  /** That this is the oldest, unless a later one is noted: should it be lost, nobody makes a first one in its place. */
  noteOldestRecordKey(number: number): Promise<void>;
}

export function recordKeyName(number: number): FleetKeyName {
  return { name: `record-key-${number}`, info: 'keyfleet/record-key/1' };
}

/** Undefined for a secret that is no record key. */
export function recordKeyNumberOf(secret: string): number | undefined {
  const number = /^record-key-([1-9]\d{0,8})$/.exec(secret)?.[1];
  return number === undefined ? undefined : Number(number);
}

const Fingerprint = defineFormat('keyfleet/record-key-fingerprint/1', z.object({}));

/** Tells it from every other, and says nothing of it: 64 hexadecimal digits. */
export function fingerprintOf(key: KeyObject): string {
  return createHmac('sha256', key).update(Fingerprint.encode({})).digest('hex');
}
