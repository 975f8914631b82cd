import { keyArn, parseKmsArn } from '@keyfleet/shared/arn';
import { KeySpecName, KeyUsageName } from '@keyfleet/shared/hsm/command-fields';
import { origins, rotationTypes, storedKeyStates } from '@keyfleet/shared/key-specs';
import { z } from 'zod';
import type { KmsKey } from '../keys/kms-key.ts';
import { defaultKeyPolicy } from '../policy/default-key-policy.ts';
import { bytes, damagedRecord, decodeParsed, parseRecord } from './records.ts';

/** The schema version that is written. */
export const NEWEST_KEY_RECORD = 2;
/** The partition that a record does not state. */
const USUAL_PARTITION = 'aws';

const MaterialId = z.string().regex(/^[0-9a-f]{64}$/);
const Tag = z.strictObject({ TagKey: z.string(), TagValue: z.string() });

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

/** Version 2, which is written. It leaves out what is as usual, since Redis holds it for each key. */
export const KeyRecord = z.strictObject({
  schemaVersion: z.literal(NEWEST_KEY_RECORD),
  revision: z.int().min(1),
  keyId: z.string().min(1),
  accountId: z.string().min(1),
  region: z.string().min(1),
  /** Absent: USUAL_PARTITION. */
  partition: z.string().min(1).optional(),
  keySpec: KeySpecName,
  keyUsage: KeyUsageName,
  origin: z.enum(origins),
  multiRegion: z.literal(true).optional(),
  description: z.string().min(1).optional(),
  state: z.enum(storedKeyStates),
  createdAt: z.int(),
  /** Absent: the default policy. */
  policy: z.string().optional(),
  policyPrincipals: z.record(z.string(), z.string()).optional(),
  tags: z.array(Tag).min(1).optional(),
  backingKeys: z.array(BackingKeyRecord),
  deletionDate: z.int().optional(),
  pendingWindowInDays: z.int().optional(),
  related: RelatedKeysRecord.optional(),
  automaticRotation: z.strictObject({ periodInDays: z.int(), nextDate: z.int() }).optional(),
  customKeyStoreId: z.string().min(1).optional(),
  xksKeyId: z.string().min(1).optional(),
  clusterId: z.string().min(1).optional(),
});

/** What version 1 states otherwise. */
export const FormerKeyMembers = z.strictObject({
  schemaVersion: z.literal(1),
  arn: z.string().min(1),
  multiRegion: z.boolean(),
  description: z.string(),
  policy: z.string(),
  tags: z.array(Tag),
  /** Written before keys took several imported materials: describes the only one, even while it was absent. */
  imported: z
    .strictObject({ materialId: MaterialId, description: z.string().optional(), validTo: z.int().optional() })
    .optional(),
});
const FormerKeyRecord = KeyRecord.omit({ partition: true }).extend(FormerKeyMembers.shape);

export function encodeKey({ arn, multiRegion, description, policy, tags, ...rest }: KmsKey): string {
  const partition = partitionOf(arn, rest);
  const record = {
    schemaVersion: NEWEST_KEY_RECORD,
    ...rest,
    partition: partition === USUAL_PARTITION ? undefined : partition,
    multiRegion: multiRegion || undefined,
    description: description || undefined,
    policy: policy === defaultKeyPolicy(partition, rest.accountId) ? undefined : policy,
    tags: tags.length > 0 ? tags : undefined,
  };
  return JSON.stringify(z.encode(KeyRecord, record as z.output<typeof KeyRecord>));
}

/** The only part of a key's ARN that nothing else in its record states. */
function partitionOf(arn: string, { keyId, ...scope }: Pick<KmsKey, 'region' | 'accountId' | 'keyId'>): string {
  const partition = parseKmsArn(arn)?.partition;
  if (partition === undefined || keyArn({ partition, ...scope }, keyId) !== arn)
    throw new Error(`${arn} is not the ARN of key ${keyId}`);
  return partition;
}

/** Throws DamagedRecordError unless `text` is this very key's record. */
export function decodeKey(text: string, { region, keyId }: Pick<KmsKey, 'region' | 'keyId'>): KmsKey {
  const name = `key ${region}/${keyId}`;
  const record = parseRecord(text, name, NEWEST_KEY_RECORD);
  const key = record.schemaVersion === 1 ? formerKeyOf(record, name) : keyOf(record, name);
  if (key.region !== region || key.keyId !== keyId) throw damagedRecord(name, 'it is the record of another key');
  return key;
}

function keyOf(record: object, name: string): KmsKey {
  const { schemaVersion: _, partition = USUAL_PARTITION, ...rest } = decodeParsed(KeyRecord, record, name);
  const { region, accountId, keyId, multiRegion = false, description = '', tags = [] } = rest;
  const arn = keyArn({ partition, region, accountId }, keyId);
  const policy = rest.policy ?? defaultKeyPolicy(partition, accountId);
  return { ...rest, arn, multiRegion, description, policy, tags };
}

function formerKeyOf(record: object, name: string): KmsKey {
  const { schemaVersion: _, imported, ...key } = decodeParsed(FormerKeyRecord, record, name);
  if (imported === undefined) return key;
  return { ...key, backingKeys: [{ createdAt: key.createdAt, ...key.backingKeys[0], ...imported }] };
}
