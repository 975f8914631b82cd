import { z } from 'zod';
import { DamagedRecordError } from '../store/store.ts';

/** The form of an IAM record's text in Redis. */

const NamedText = z.strictObject({ name: z.string(), document: z.string() });
export const IamTag = z.strictObject({ key: z.string(), value: z.string() });
export type IamTag = z.output<typeof IamTag>;

const common = {
  schemaVersion: z.literal(1),
  revision: z.int().min(1),
  accountId: z.string().regex(/^\d{12}$/),
  name: z.string().min(1),
  path: z.string().startsWith('/').endsWith('/'),
  /** IAM's unique id, never used for another record. */
  id: z.string().min(16),
  /** Milliseconds since the epoch. */
  createdAt: z.int(),
};

/** Permissions: inline identity policies, and ARNs of attached managed policies. */
const permissions = { inline: z.array(NamedText), attached: z.array(z.string()) };

const AccessKeyEntry = z.strictObject({
  accessKeyId: z.string(),
  status: z.enum(['Active', 'Inactive']),
  createdAt: z.int(),
});

const UserRecord = z.strictObject({
  kind: z.literal('user'),
  ...common,
  ...permissions,
  /** ARN of a managed policy. */
  boundary: z.string().optional(),
  tags: z.array(IamTag),
  /** Group names. */
  groups: z.array(z.string()),
  /** An access key works only while it is listed here as Active, whatever else is stored about it. */
  accessKeys: z.array(AccessKeyEntry),
});

const RoleRecord = z.strictObject({
  kind: z.literal('role'),
  ...common,
  ...permissions,
  boundary: z.string().optional(),
  tags: z.array(IamTag),
  /** Users, roles and sessions appear in it by their unique ids (`bound-policy.ts`). */
  trustPolicy: z.string(),
  /** Their ARNs at the time the policy was put. */
  trustPrincipals: z.record(z.string(), z.string()).optional(),
  description: z.string(),
  maxSessionSeconds: z.int(),
});

const GroupRecord = z.strictObject({ kind: z.literal('group'), ...common, ...permissions });

const PolicyVersion = z.strictObject({ versionId: z.string(), document: z.string(), createdAt: z.int() });

const PolicyRecord = z.strictObject({
  kind: z.literal('policy'),
  ...common,
  tags: z.array(IamTag),
  description: z.string(),
  updatedAt: z.int(),
  /** Oldest first, including the default version. */
  versions: z.array(PolicyVersion).min(1),
  defaultVersionId: z.string(),
  /** The number of the newest version ever made; numbers are never reused. */
  lastVersion: z.int(),
});

const IamRecord = z.discriminatedUnion('kind', [UserRecord, RoleRecord, GroupRecord, PolicyRecord]);

type DeepReadonly<T> = T extends readonly (infer E)[]
  ? readonly DeepReadonly<E>[]
  : T extends object
    ? { readonly [K in keyof T]: DeepReadonly<T[K]> }
    : T;

export type UserRecord = DeepReadonly<z.output<typeof UserRecord>>;
export type RoleRecord = DeepReadonly<z.output<typeof RoleRecord>>;
export type GroupRecord = DeepReadonly<z.output<typeof GroupRecord>>;
export type PolicyRecord = DeepReadonly<z.output<typeof PolicyRecord>>;
export type IamRecord = UserRecord | RoleRecord | GroupRecord | PolicyRecord;
export type IamKind = IamRecord['kind'];
export type RecordOf<K extends IamKind> = Extract<IamRecord, { kind: K }>;

export function encodeIamRecord(record: IamRecord): string {
  return JSON.stringify(record);
}

interface Expected<K> {
  readonly accountId: string;
  readonly kind: K;
  /** The requested name, in any case; undefined accepts any name. */
  readonly name?: string;
}

/** Throws DamagedRecordError unless `text` is this very identity's or policy's record. */
export function decodeIamRecord<K extends IamKind>(text: string, { accountId, kind, name }: Expected<K>): RecordOf<K> {
  const label = `${kind} ${name ?? '(listed)'} of account ${accountId}`;
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (cause) {
    throw damaged(label, 'it is not JSON', cause);
  }
  const read = IamRecord.safeParse(json);
  if (!read.success) throw damaged(label, 'it does not have the form that this release knows', read.error);
  const { data: record } = read;
  const isIt = record.kind === kind && record.accountId === accountId;
  if (!isIt || (name !== undefined && record.name.toLowerCase() !== name.toLowerCase())) {
    throw damaged(label, 'it is another record');
  }
  return record as IamRecord as RecordOf<K>;
}

function damaged(label: string, why: string, cause?: unknown): DamagedRecordError {
  const advice = 'Restore it from a backup, or run the release that wrote it.';
  return new DamagedRecordError(`the record of ${label} cannot be read: ${why}. ${advice}`, { cause });
}
