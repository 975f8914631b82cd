import { fewAtOnce } from '@keyfleet/shared/few-at-once';
import { isAwsManaged, policyFieldOf } from '@keyfleet/shared/stored/iam';
import { DamagedRecordError } from '../store/store.ts';
import { awsManagedPolicy } from './aws-managed-policies.ts';
import type { IamStore } from './iam-store.ts';
import type { GroupRecord, IamRecord, PolicyRecord, RoleRecord, UserRecord } from './iam-records.ts';

/** A policy document under the name that AWS's policy simulator gives it. */
export interface NamedPolicy {
  readonly id: string;
  readonly document: string;
}

/** A user or role with everything that determines its permissions, consistent as of one moment. */
export interface Identity<R extends UserRecord | RoleRecord = UserRecord | RoleRecord> {
  readonly record: R;
  /** Identity policies: its own, its groups', and managed ones attached to either. */
  readonly policies: readonly NamedPolicy[];
  readonly boundary: string | undefined;
  readonly tags: ReadonlyMap<string, string>;
}

/**
 * Records are read one after another. Something removed in between is not an error; it is also gone from the record
 * that referred to it.
 */
const ATTEMPTS = 3;
/** Each may have 140,000 characters: as many as come together delay others. */
const POLICIES_AT_ONCE = 16;

/**
 * Throws DamagedRecordError if an attached policy is missing: what it denied is then unknown, so nothing is decided
 * without it.
 */
export async function loadIdentity(
  store: Pick<IamStore, 'find'>,
  { accountId, kind, name }: { readonly accountId: string; readonly kind: 'user' | 'role'; readonly name: string },
): Promise<Identity | undefined> {
  for (let attempt = 1; ; attempt++) {
    const record = await store.find(accountId, kind, name);
    if (record === undefined) return undefined;
    const identity = await completed(store, record);
    if (identity !== undefined) return identity;
    if (attempt < ATTEMPTS) continue;
    throw refersToNothing({ kind, name, accountId });
  }
}

/** Throws DamagedRecordError as `loadIdentity`. */
export async function loadGroupPolicies(
  store: Pick<IamStore, 'find'>,
  group: GroupRecord,
): Promise<readonly NamedPolicy[]> {
  const policies = await policiesOf(store, [group]);
  if (policies === undefined) throw refersToNothing(group);
  return policies;
}

function refersToNothing({
  kind,
  name,
  accountId,
}: Pick<IamRecord, 'kind' | 'name' | 'accountId'>): DamagedRecordError {
  const what = `${kind} ${name} of account ${accountId}`;
  return new DamagedRecordError(
    `${what} refers to a group or a managed policy that does not exist: detach it, or restore it from a backup`,
  );
}

async function completed(
  store: Pick<IamStore, 'find'>,
  record: UserRecord | RoleRecord,
): Promise<Identity | undefined> {
  const { accountId, tags, boundary } = record;
  const groups = await groupsOf(store, record);
  if (groups === undefined) return undefined;
  const [policies, limit] = await Promise.all([
    policiesOf(store, [record, ...groups]),
    boundary === undefined ? undefined : documentOf(store, accountId, boundary),
  ]);
  if (policies === undefined || (boundary !== undefined && limit === undefined)) return undefined;
  return { record, policies, boundary: limit, tags: new Map(tags.map(({ key, value }) => [key, value])) };
}

/** Undefined if a managed policy is missing. */
async function policiesOf(
  store: Pick<IamStore, 'find'>,
  bearers: readonly (UserRecord | RoleRecord | GroupRecord)[],
): Promise<readonly NamedPolicy[] | undefined> {
  const own = bearers.flatMap(({ kind, name, inline }) =>
    inline.map((policy) => ({ id: `${kind}_${name}_${policy.name}`, document: policy.document })),
  );
  const attached = bearers.flatMap(({ accountId, attached: arns }) => arns.map((arn) => ({ accountId, arn })));
  const managed = await fewAtOnce(attached, POLICIES_AT_ONCE, async ({ accountId, arn }) => ({
    id: policyNameOf(arn),
    document: await documentOf(store, accountId, arn),
  }));
  return managed.every((policy): policy is NamedPolicy => policy.document !== undefined)
    ? [...own, ...managed]
    : undefined;
}

async function groupsOf(
  store: Pick<IamStore, 'find'>,
  record: UserRecord | RoleRecord,
): Promise<readonly GroupRecord[] | undefined> {
  const names = record.kind === 'user' ? record.groups : [];
  const groups = await Promise.all(names.map((name) => store.find(record.accountId, 'group', name)));
  return groups.every((group) => group !== undefined) ? groups : undefined;
}

/** The document of a managed policy's default version, which is the one in force. */
async function documentOf(store: Pick<IamStore, 'find'>, accountId: string, arn: string): Promise<string | undefined> {
  if (isAwsManaged(arn)) return awsManagedPolicy(arn)?.document;
  const policy = await store.find(accountId, 'policy', policyNameOf(arn));
  return policy === undefined ? undefined : defaultDocumentOf(policy);
}

export function policyNameOf(arn: string): string {
  return arn.slice(arn.lastIndexOf('/') + 1);
}

export function defaultDocumentOf({ versions, defaultVersionId }: PolicyRecord): string | undefined {
  return versions.find(({ versionId }) => versionId === defaultVersionId)?.document;
}

export function isSamePolicy(one: string, other: string): boolean {
  return policyFieldOf(one) === policyFieldOf(other);
}
