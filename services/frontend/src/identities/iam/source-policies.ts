import { identityArn } from '../callers.ts';
import { loadGroupPolicies, loadIdentity, type NamedPolicy, policyNameOf } from '../identity.ts';
import { QueryException } from '../query-exception.ts';
import type { IamDeps } from '../query-operation.ts';
import { noSuch } from '../targets.ts';
import { assertIdentityPolicy } from './documents.ts';

/** Whose policies are simulated, or searched for condition keys. */
export interface PolicySource {
  readonly arn: string;
  readonly accountId: string;
  readonly userId: string;
  readonly policies: readonly NamedPolicy[];
  readonly boundary?: NamedPolicy | undefined;
}

type SourceKind = 'user' | 'role' | 'group';

const sourceForm = /^arn:[^:]+:iam::(\d{12}):(user|role|group)\/(?:.+\/)?([^/]+)$/;

/**
 * The user, role or group with exactly this ARN, which the caller was authorized for. Throws NoSuchEntity, also for one
 * of another account.
 */
export async function findSource(arn: string, accountId: string, deps: IamDeps): Promise<PolicySource> {
  const [, account, kind, name = ''] = sourceForm.exec(arn) ?? [];
  if (account !== accountId) throw new QueryException('NoSuchEntity', `${arn} cannot be found.`);
  const found = await loadSource(kind as SourceKind, { accountId, name }, deps);
  if (found?.arn !== arn) throw noSuch(kind as SourceKind, name);
  return found;
}

interface Place {
  readonly accountId: string;
  readonly name: string;
}

async function loadSource(
  kind: SourceKind,
  { accountId, name }: Place,
  { iam, partition }: IamDeps,
): Promise<PolicySource | undefined> {
  if (kind === 'group') {
    const group = await iam.find(accountId, 'group', name);
    if (group === undefined) return undefined;
    const policies = await loadGroupPolicies(iam, group);
    return { arn: identityArn(partition, group), accountId, userId: group.id, policies };
  }
  const identity = await loadIdentity(iam, { accountId, kind, name });
  if (identity === undefined) return undefined;
  const { record, policies, boundary: document } = identity;
  const boundary = document === undefined ? undefined : { id: policyNameOf(record.boundary ?? ''), document };
  return { arn: identityArn(partition, record), accountId, userId: record.id, policies, boundary };
}

/** Ours, for all policies of a request together: as long as AWS lets one be. They are read in one go. */
const MAX_LENGTH = 131_072;

/** Throws InvalidInput for policies that no user could have. */
export function assertInputPolicies(documents: readonly string[]): void {
  if (documents.join('').length > MAX_LENGTH) {
    throw new QueryException('InvalidInput', `The policies are longer than ${MAX_LENGTH} characters together.`);
  }
  try {
    documents.forEach(assertIdentityPolicy);
  } catch (error) {
    if (error instanceof QueryException) throw new QueryException('InvalidInput', error.message);
    throw error;
  }
}
