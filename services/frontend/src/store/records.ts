import { TrackedOperation } from '@keyfleet/shared/api/choices';
import { z } from 'zod';
import type { KmsKey } from '../keys/kms-key.ts';
import { type AccessKeyRecord, type AccessKeyUse, type Alias, DamagedRecordError, type LastUsage } from './store.ts';

/** Bytes as base64 in a record. */
export const bytes = z.codec(
  z.base64(),
  z.custom<Uint8Array>((value) => value instanceof Uint8Array),
  {
    decode: bytesOf,
    encode: (value) => Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString('base64'),
  },
);

/** In memory of their own: caches keep records, and a small Buffer of Node's pool keeps the block that it lies in. */
function bytesOf(base64: string): Buffer {
  const bytes = Buffer.allocUnsafeSlow(Buffer.byteLength(base64, 'base64'));
  bytes.write(base64, 'base64');
  return bytes;
}

export const AliasRecord = z.strictObject({
  schemaVersion: z.literal(1),
  targetKeyId: z.string().min(1),
  createdAt: z.int(),
  updatedAt: z.int(),
});

export const LastUsageRecord = z.strictObject({
  schemaVersion: z.literal(1),
  operation: TrackedOperation,
  usedAt: z.int(),
  requestId: z.string(),
  eventId: z.string(),
});

export const AccessKeyUseRecord = z.strictObject({
  schemaVersion: z.literal(1),
  usedAt: z.int(),
  service: z.string(),
  region: z.string(),
});

export const AccessKey = z.strictObject({
  schemaVersion: z.literal(1),
  accessKeyId: z.string().min(1),
  accountId: z.string().min(1),
  principal: z.string().min(1),
  userId: z.string(),
  token: bytes,
  policies: z.array(z.string()),
});

export function encodeAlias({ targetKeyId, createdAt, updatedAt }: Alias): string {
  return JSON.stringify({ schemaVersion: 1, targetKeyId, createdAt, updatedAt } satisfies z.input<typeof AliasRecord>);
}

export function decodeAlias(text: string, name: string): Alias {
  const { targetKeyId, createdAt, updatedAt } = decodeRecord(AliasRecord, text, name);
  return { name, targetKeyId, createdAt, updatedAt };
}

export function encodeAccessKey(record: AccessKeyRecord): string {
  return JSON.stringify(z.encode(AccessKey, { schemaVersion: 1, ...record, policies: [...record.policies] }));
}

export function decodeAccessKey(text: string, accessKeyId: string): AccessKeyRecord {
  const name = `access key ${accessKeyId}`;
  const { schemaVersion: _, ...record } = decodeRecord(AccessKey, text, name);
  if (record.accessKeyId !== accessKeyId) throw damagedRecord(name, 'it is the record of another access key');
  return record;
}

/** The revision of an access key's record: 0 while it states policies, 1 once it no longer does. */
export function accessKeyRevision({ policies }: AccessKeyRecord): number {
  return policies.length > 0 ? 0 : 1;
}

export function encodeLastUsage({ operation, usedAt, requestId, eventId }: LastUsage): string {
  const record = { schemaVersion: 1, operation, usedAt, requestId, eventId } as const;
  return JSON.stringify(record satisfies z.input<typeof LastUsageRecord>);
}

export function decodeLastUsage(text: string, { region, keyId }: Pick<KmsKey, 'region' | 'keyId'>): LastUsage {
  const { schemaVersion: _, ...usage } = decodeRecord(LastUsageRecord, text, `last usage of key ${region}/${keyId}`);
  return usage;
}

export function encodeAccessKeyUse({ usedAt, service, region }: AccessKeyUse): string {
  return JSON.stringify({ schemaVersion: 1, usedAt, service, region } satisfies z.input<typeof AccessKeyUseRecord>);
}

export function decodeAccessKeyUse(text: string, accessKeyId: string): AccessKeyUse {
  const { schemaVersion: _, ...use } = decodeRecord(AccessKeyUseRecord, text, `last use of access key ${accessKeyId}`);
  return use;
}

/** Throws DamagedRecordError. `name`: what the record describes. */
export function decodeRecord<S extends z.ZodObject>(schema: S, text: string, name: string): z.output<S> {
  return decodeParsed(schema, parseRecord(text, name), name);
}

/** Throws DamagedRecordError. `record`: what `parseRecord` returned. */
export function decodeParsed<S extends z.ZodObject>(schema: S, record: object, name: string): z.output<S> {
  const result = schema.safeDecode(record as z.input<S>);
  if (result.success) return result.data;
  throw damagedRecord(name, 'it does not have the form of its schema version', result.error);
}

/** Throws DamagedRecordError unless it is a record of a version up to `newest`. */
export function parseRecord(text: string, name: string, newest = 1): { readonly schemaVersion: number } {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (cause) {
    throw damagedRecord(name, 'it is not JSON', cause);
  }
  const version = (json as { schemaVersion?: unknown } | null)?.schemaVersion;
  if (Number.isInteger(version) && Number(version) >= 1 && Number(version) <= newest) {
    return json as { schemaVersion: number };
  }
  const known = newest === 1 ? '1' : `1 to ${newest}`;
  throw damagedRecord(name, `its schema version is ${String(version)} and this release knows ${known}`);
}

export function damagedRecord(name: string, why: string, cause?: unknown): DamagedRecordError {
  const advice = 'Restore it from a backup, or run the release that wrote it.';
  return new DamagedRecordError(`the record of ${name} cannot be read: ${why}. ${advice}`, { cause });
}
