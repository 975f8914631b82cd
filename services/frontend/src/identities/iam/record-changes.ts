import { authorizeIam, resourceTagsOf } from '../access.ts';
import { identityArn } from '../callers.ts';
import type { GroupRecord, IamKind, IamRecord, RoleRecord, UserRecord } from '../iam-records.ts';
import type { Call } from '../../operations/handler.ts';
import { newIamId } from '../ids.ts';
import type { IamChange } from '../iam-store.ts';
import { QueryException } from '../query-exception.ts';
import type { Admitted, IamDeps } from '../query-operation.ts';
import { IAM_QUOTAS } from '../quotas.ts';

const titles = { user: 'User', role: 'Role', group: 'Group', policy: 'policy' } as const;
const quotaTitles = {
  user: 'UsersPerAccount',
  role: 'RolesPerAccount',
  group: 'GroupsPerAccount',
  policy: 'PoliciesPerAccount',
};

/** What every record begins with. */
export function newRecord<K extends IamKind>(
  kind: K,
  { name, path = '/' }: { readonly name: string; readonly path?: string | undefined },
  { call, deps }: { readonly call: Call; readonly deps: Pick<IamDeps, 'clock'> },
) {
  const { accountId } = call.caller;
  const createdAt = deps.clock.now();
  return { kind, schemaVersion: 1, revision: 1, accountId, name, path, id: newIamId(kind), createdAt } as const;
}

/** Throws EntityAlreadyExists, LimitExceeded, or NoSuchEntity for something that the record refers to. */
export async function insertRecord({ iam }: Pick<IamDeps, 'iam'>, record: IamRecord): Promise<void> {
  const { kind, name } = record;
  switch (await iam.insert(record, IAM_QUOTAS[kind])) {
    case 'done':
      return;
    case 'taken':
      throw taken(kind, name);
    case 'full':
      throw exceeded(quotaTitles[kind], IAM_QUOTAS[kind]);
    case 'missing':
      throw notAttachable();
  }
}

/** With others in the same step. Throws ConflictError if somebody else was faster. */
export async function changeRecord<R extends IamRecord>(
  { iam }: Pick<IamDeps, 'iam'>,
  before: R,
  changes: Partial<R>,
  ...others: readonly IamChange[]
): Promise<void> {
  const outcome = await iam.update({ before, record: { ...before, ...changes } }, ...others);
  if (outcome === 'taken') throw taken(before.kind, changes.name ?? before.name);
  if (outcome === 'missing') throw notAttachable();
}

/**
 * Authorizes the caller for a user or group as it will be called, too: who may change only one must not be able to give
 * it the name of another that policies name.
 */
export function authorizeRenamed(
  { call, input, record }: Admitted<object, 'user'> | Admitted<object, 'group'>,
  { path, name }: Pick<IamRecord, 'path' | 'name'>,
  deps: Pick<IamDeps, 'policies' | 'clock' | 'partition'>,
): void {
  const action = record.kind === 'user' ? 'iam:UpdateUser' : 'iam:UpdateGroup';
  const resource = identityArn(deps.partition, { ...record, path, name });
  const about = { resource, ownerId: record.accountId, resourceTags: resourceTagsOf(record) };
  authorizeIam({ call, input: { ...input }, action, ...about }, deps);
}

/** Throws DeleteConflict while other records refer to it. */
export async function removeRecord({ iam }: Pick<IamDeps, 'iam'>, record: IamRecord): Promise<void> {
  if ((await iam.remove(record)) === 'done') return;
  throw deleteConflict(
    record.kind === 'group'
      ? 'Cannot delete entity, must remove users from group first.'
      : 'Cannot delete a policy attached to entities.',
  );
}

/** Throws DeleteConflict while it has policies of its own, or attached. */
export function assertWithoutPolicies({ inline, attached }: UserRecord | RoleRecord | GroupRecord): void {
  if (inline.length > 0) throw deleteConflict('Cannot delete entity, must delete policies first.');
  if (attached.length > 0) throw deleteConflict('Cannot delete entity, must detach all policies first.');
}

export function deleteConflict(message: string): QueryException {
  return new QueryException('DeleteConflict', message);
}

/** Throws LimitExceeded with AWS's text. */
export function assertQuota(count: number, quota: number, title: string): void {
  if (count > quota) throw exceeded(title, quota);
}

function exceeded(title: string, quota: number): QueryException {
  return new QueryException('LimitExceeded', `Cannot exceed quota for ${title}: ${quota}`);
}

function taken(kind: IamKind, name: string): QueryException {
  const text =
    kind === 'policy'
      ? `A policy called ${name} already exists. Duplicate names are not allowed.`
      : `${titles[kind]} with name ${name} already exists.`;
  return new QueryException('EntityAlreadyExists', text);
}

function notAttachable(): QueryException {
  return new QueryException(
    'NoSuchEntity',
    'A policy or group that the request names does not exist or is not attachable.',
  );
}
