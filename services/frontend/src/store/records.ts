import { TrackedOperation } from '@keyfleet/shared/api/choices';
import { KeySpecName, KeyUsageName } from '@keyfleet/shared/hsm/command-fields';
import { origins, rotationTypes, storedKeyStates } from '@keyfleet/shared/key-specs';
import { z } from 'zod';
import type { KmsKey } from '../keys/kms-key.ts';
import type { NewRecord } from './record-writes.ts';
import { type AccessKeyRecord, type AccessKeyUse, type Alias, DamagedRecordError, type LastUsage } from './store.ts';

/** Bytes as base64 in a record. */
export const bytes = z.codec(
  z.base64(),
  z.custom<Uint8Array>((value) => value instanceof Uint8Array),
  {
    decode: (text) => Buffer.from(text, 'base64'),
    encode: (value) => Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString('base64'),
  },
);

const MaterialId = z.string().regex(/^[0-9a-f]{64}$/);

export const BackingKeyRecord = z.strictObject({
  materialId: MaterialId,
  token: bytes.optional(),
  publicKey: bytes.optional(),
  createdAt: z.int(),
  rotation: z.enum(rotationTypes).optional(),
  pending: z.literal(true).optional(),
  description: z.string().optional(),
  validTo: z.int().optional(),
});

export const RelatedKeysRecord = z.strictObject({
  version: z.int().min(0),
  primary: z.string().min(1),
  replicas: z.array(z.string().min(1)),
  next: z.string().min(1).optional(),
  spreading: z.literal(true).optional(),
});

export const KeyRecord = z.strictObject({
  schemaVersion: z.literal(1),
  revision: z.int().min(1),
  keyId: z.string().min(1),
  arn: z.string().min(1),
  accountId: z.string().min(1),
  region: z.string().min(1),
  keySpec: KeySpecName,
  keyUsage: KeyUsageName,
  origin: z.enum(origins),
  multiRegion: z.boolean(),
  description: z.string(),
  state: z.enum(storedKeyStates),
  createdAt: z.int(),
  policy: z.string(),
  policyPrincipals: z.record(z.string(), z.string()).optional(),
  tags: z.array(z.strictObject({ TagKey: z.string(), TagValue: z.string() })),
  backingKeys: z.array(BackingKeyRecord),
  deletionDate: z.int().optional(),
  pendingWindowInDays: z.int().optional(),
  related: RelatedKeysRecord.optional(),
  /** Written before keys took several imported materials: describes the only one, even while it was absent. */
  imported: z
    .strictObject({ materialId: MaterialId, description: z.string().optional(), validTo: z.int().optional() })
    .optional(),
  automaticRotation: z.strictObject({ periodInDays: z.int(), nextDate: z.int() }).optional(),
  customKeyStoreId: z.string().min(1).optional(),
  xksKeyId: z.string().min(1).optional(),
  clusterId: z.string().min(1).optional(),
});

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

export function encodeKey(key: KmsKey): string {
  return JSON.stringify(z.encode(KeyRecord, key as z.output<typeof KeyRecord>));
}

/** Throws DamagedRecordError unless `text` is this very key's record. */
export function decodeKey(text: string, { region, keyId }: Pick<KmsKey, 'region' | 'keyId'>): KmsKey {
  const name = `key ${region}/${keyId}`;
  const { imported, ...key } = decodeRecord(KeyRecord, text, name);
  if (key.region !== region || key.keyId !== keyId) throw damagedRecord(name, 'it is the record of another key');
  if (imported === undefined) return key;
  return { ...key, backingKeys: [{ createdAt: key.createdAt, ...key.backingKeys[0], ...imported }] };
}

/** The parts of a key's record that are sealed under a domain key. */
export interface SealedPart {
  readonly revision: number;
  readonly account: string;
  /** For the list of due keys. */
  readonly key: NewRecord['key'];
  readonly tokens: readonly Uint8Array[];
  /** The record's next revision, with these tokens in the same order and everything else unchanged. */
  readonly encodeWith: (tokens: readonly Uint8Array[]) => string;
}

interface KeyRecordText extends Pick<KmsKey, 'region' | 'keyId' | 'accountId' | 'state'> {
  readonly revision: number;
  readonly backingKeys: readonly { readonly token?: string; readonly validTo?: number }[];
}

/**
 * `id`: Region and key id. Parses nothing else of the record, because resealing visits every record. Throws
 * DamagedRecordError.
 */
export function sealedPartOfKey(text: string, id: string): SealedPart {
  const name = `key ${id}`;
  const record = parseRecord(text, name) as KeyRecordText;
  const { revision, accountId, backingKeys } = record;
  const isWhole = Number.isInteger(revision) && typeof accountId === 'string' && Array.isArray(backingKeys);
  if (!isWhole || backingKeys.some((backingKey) => !isStoredKey(backingKey))) {
    throw damagedRecord(name, 'it does not have the form of its schema version');
  }
  if (`${record.region}/${record.keyId}` !== id) throw damagedRecord(name, 'it is the record of another key');
  return {
    revision,
    account: accountId,
    key: record,
    tokens: backingKeys.flatMap(({ token }) => (token === undefined ? [] : [Buffer.from(token, 'base64')])),
    encodeWith: (tokens) => {
      const [...next] = tokens;
      const changed = backingKeys.map((one) =>
        one.token === undefined ? one : { ...one, token: Buffer.from(next.shift()!).toString('base64') },
      );
      return JSON.stringify({ ...record, revision: revision + 1, backingKeys: changed });
    },
  };
}

/** Material without a token is not here. */
function isStoredKey(backingKey: unknown): boolean {
  if (typeof backingKey !== 'object' || backingKey === null) return false;
  const { token } = backingKey as { readonly token?: unknown };
  return token === undefined || typeof token === 'string';
}

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
  const result = schema.safeDecode(parseRecord(text, name) as z.input<S>);
  if (result.success) return result.data;
  throw damagedRecord(name, 'it does not have the form of its schema version', result.error);
}

function parseRecord(text: string, name: string): unknown {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (cause) {
    throw damagedRecord(name, 'it is not JSON', cause);
  }
  const version = (json as { schemaVersion?: unknown } | null)?.schemaVersion;
  if (version !== 1) throw damagedRecord(name, `its schema version is ${String(version)} and this release knows 1`);
  return json;
}

export function damagedRecord(name: string, why: string, cause?: unknown): DamagedRecordError {
  const advice = 'Restore it from a backup, or run the release that wrote it.';
  return new DamagedRecordError(`the record of ${name} cannot be read: ${why}. ${advice}`, { cause });
}
