import { isAwsManaged } from '@keyfleet/shared/stored/iam';
import type { KmsException } from '@keyfleet/shared/errors/exceptions';
import type { Call } from '../operations/handler.ts';
import { awsManagedPolicy, type AwsManagedPolicy } from './aws-managed-policies.ts';
import { policyNameOf } from './identity.ts';
import { QueryException } from './query-exception.ts';
import type { IamDeps, Target } from './query-operation.ts';
import type { IamKind, IamRecord, PolicyRecord } from './iam-records.ts';

/** The request member that names a record of each kind. */
const members: Record<IamKind, string> = {
  user: 'UserName',
  role: 'RoleName',
  group: 'GroupName',
  policy: 'PolicyArn',
};

/** The name in a request, or a policy's ARN. Undefined if nothing is named. */
export function nameOfTarget({ kind, as }: Target, input: Readonly<Record<string, unknown>>, call: Call) {
  if (as === 'listed') return undefined;
  const member = as === 'made' && kind === 'policy' ? 'PolicyName' : members[kind];
  const name = input[member];
  if (typeof name === 'string') return name;
  if (as === 'own' && call.caller.userName !== undefined) return call.caller.userName;
  throw new QueryException('ValidationError', 'Must specify userName when calling with non-User credentials');
}

export async function findTarget(
  { iam, partition }: Pick<IamDeps, 'iam' | 'partition'>,
  { caller: { accountId } }: Call,
  { kind, name }: { readonly kind: IamKind; readonly name: string },
): Promise<IamRecord | undefined> {
  if (kind !== 'policy') return iam.find(accountId, kind, name);
  return findPolicy({ iam, partition }, accountId, name);
}

const policyArnForm = /^arn:([^:]+):iam::(\d{12}|aws):policy(\/(?:[!-~]+\/)?)([\w+=,.@-]+)$/;

/**
 * Undefined also for another account's policy, and for an ARN that is spelled differently: conditions compare the ARN
 * as given. Throws QueryException if this is not a policy's ARN.
 */
export async function findPolicy(
  { iam, partition }: Pick<IamDeps, 'iam' | 'partition'>,
  accountId: string,
  arn: string,
): Promise<PolicyRecord | undefined> {
  const [, inPartition, account, path, name = ''] = policyArnForm.exec(arn) ?? [];
  if (inPartition !== partition) throw new QueryException('ValidationError', `ARN ${arn} is not valid.`);
  if (isAwsManaged(arn)) {
    const managed = awsManagedPolicy(arn);
    return managed && awsRecord(managed);
  }
  if (account !== accountId) return undefined;
  const policy = await iam.find(accountId, 'policy', name);
  return policy?.path === path && policy?.name === name ? policy : undefined;
}

/** AWS's own policies in the form of records; they belong to the account `aws`. */
export function awsRecord({ name, id, document }: AwsManagedPolicy): PolicyRecord {
  const createdAt = Date.UTC(2015, 1, 6, 18, 39, 46);
  return {
    kind: 'policy',
    schemaVersion: 1,
    revision: 1,
    accountId: 'aws',
    name,
    path: '/',
    id,
    createdAt,
    updatedAt: createdAt,
    tags: [],
    description: '',
    versions: [{ versionId: 'v1', document, createdAt }],
    defaultVersionId: 'v1',
    lastVersion: 1,
  };
}

/** Uses AWS's sentence. */
export function noSuch(kind: IamKind, name: string): KmsException {
  const text =
    kind === 'policy'
      ? `Policy ${name} was not found.`
      : `The ${kind} with name ${policyNameOf(name)} cannot be found.`;
  return new QueryException('NoSuchEntity', text);
}

/** The one part of a record that is meant. Throws NoSuchEntity, with AWS's sentence. */
export function partOf<T>(parts: readonly T[], isIt: (part: T) => boolean, otherwise: string): T {
  const found = parts.find(isIt);
  if (found !== undefined) return found;
  throw new QueryException('NoSuchEntity', otherwise);
}

/** Throws NoSuchEntity unless it is a managed policy of the account or of AWS. */
export async function assertBoundary(
  deps: Pick<IamDeps, 'iam' | 'partition'>,
  accountId: string,
  arn: string | undefined,
): Promise<void> {
  if (arn !== undefined && (await findPolicy(deps, accountId, arn)) === undefined) throw noSuch('policy', arn);
}
