import { unlessDamaged } from '@keyfleet/shared/redis/stored-values';
import { z } from 'zod';
import { hasAccessKey, namesOfOwner } from '../first-user.ts';
import type { Call } from '../../operations/handler.ts';
import { evaluate } from '../../policy/evaluate.ts';
import { accessRequestOf, type Asking, resourceTagsOf } from '../access.ts';
import type { UserRecord } from '../iam-records.ts';
import { identityArn } from '../callers.ts';
import { newAccessKeyId } from '../ids.ts';
import { QueryException } from '../query-exception.ts';
import { type Admitted, defineIam, type IamDeps, type QueryOperation } from '../query-operation.ts';
import { IAM_QUOTAS } from '../quotas.ts';
import { ShownOnce } from '../shown-once.ts';
import { assertQuota, changeRecord } from './record-changes.ts';
import { partOf } from '../targets.ts';
import { AccessKeyId, paging, Status, UserName } from './fields.ts';
import { pageAnswer, pageOfAll } from './pages.ts';

const target = { kind: 'user', as: 'own' } as const;

/**
 * The secret is stored before the user has the key, and removed before the user loses the key. Either one alone is
 * useless.
 */
const createAccessKey = defineIam({
  name: 'CreateAccessKey',
  readOnly: false,
  target,
  input: { UserName: UserName.optional() },
  async run({ call, record }, deps) {
    const { accountId, id: userId, accessKeys } = record;
    assertQuota(accessKeys.length + 1, IAM_QUOTAS.accessKeysPerUser, 'AccessKeysPerUser');
    const accessKeyId = newAccessKeyId('AKIA');
    const principal = identityArn(deps.partition, record);
    const { secretAccessKey, token } = await deps.hsm.execute(
      'GenerateCredential',
      { accessKeyId, principal },
      call.deadline,
    );
    await deps.accessKeys.insertAccessKey({ accessKeyId, accountId, principal, userId, token, policies: [] });
    const createdAt = deps.clock.now();
    try {
      const accessKey = { accessKeyId, status: 'Active', createdAt } as const;
      await changeRecord(deps, record, { accessKeys: [...accessKeys, accessKey] });
    } catch (error) {
      await deps.accessKeys.deleteAccessKey(accessKeyId);
      throw error;
    }
    return {
      AccessKey: {
        UserName: record.name,
        AccessKeyId: accessKeyId,
        Status: 'Active',
        SecretAccessKey: new ShownOnce(Buffer.from(secretAccessKey).toString('ascii')),
        CreateDate: new Date(createdAt),
      },
    };
  },
});

const updateAccessKey = defineIam({
  name: 'UpdateAccessKey',
  readOnly: false,
  target,
  input: { UserName: UserName.optional(), AccessKeyId, Status },
  async run({ input: { AccessKeyId: accessKeyId, Status: status }, record }, deps) {
    const known = findAccessKey(record, accessKeyId);
    const accessKeys = record.accessKeys.map((key) => (key === known ? { ...key, status } : key));
    await changeRecord(deps, record, { accessKeys });
  },
});

const deleteAccessKey = defineIam({
  name: 'DeleteAccessKey',
  readOnly: false,
  target,
  input: { UserName: UserName.optional(), AccessKeyId },
  async run({ input: { AccessKeyId: accessKeyId }, record }, deps) {
    const gone = findAccessKey(record, accessKeyId);
    await deps.accessKeys.deleteAccessKey(accessKeyId);
    await changeRecord(deps, record, { accessKeys: record.accessKeys.filter((key) => key !== gone) });
  },
});

const listAccessKeys = defineIam({
  name: 'ListAccessKeys',
  readOnly: true,
  target,
  input: { UserName: UserName.optional(), ...paging },
  run: ({ input, call, record }, deps) =>
    pageAnswer(
      input,
      {
        operation: 'ListAccessKeys',
        filter: record.id,
        list: pageOfAll(record.accessKeys, ({ accessKeyId }) => accessKeyId),
      },
      {
        call,
        deps,
        named: (keys) => ({
          AccessKeyMetadata: keys.map(({ accessKeyId, status, createdAt }) => ({
            UserName: record.name,
            AccessKeyId: accessKeyId,
            Status: status,
            CreateDate: new Date(createdAt),
          })),
        }),
      },
    ),
});

const getAccessKeyLastUsed: QueryOperation = {
  service: 'iam',
  name: 'GetAccessKeyLastUsed',
  readOnly: true,
  target: undefined,
  input: z.object({ AccessKeyId }),
  async run(admitted, deps) {
    const { input, call } = admitted as object as Admitted<{ readonly AccessKeyId: string }, 'user'>;
    const { AccessKeyId: accessKeyId } = input;
    const owner = await ownerOf(accessKeyId, call.caller.accountId, deps);
    if (owner === undefined || !mayAsk(owner, { input, call }, deps)) throw deniedAccessKey(call, accessKeyId);
    const use = await deps.accessKeyUses.find(accessKeyId);
    return {
      UserName: owner.name,
      AccessKeyLastUsed: {
        LastUsedDate: use && new Date(use.usedAt),
        ServiceName: use?.service ?? 'N/A',
        Region: use?.region ?? 'N/A',
      },
    };
  },
};

async function ownerOf(accessKeyId: string, accountId: string, { iam }: IamDeps): Promise<UserRecord | undefined> {
  for await (const name of namesOfOwner(iam, { accountId, accessKeyId })) {
    const user = await iam.find(accountId, 'user', name).catch(unlessDamaged);
    if (user !== undefined && hasAccessKey(user, accessKeyId)) return user;
  }
  return undefined;
}

function mayAsk(
  owner: UserRecord,
  asking: Pick<Asking, 'input' | 'call'>,
  deps: Pick<IamDeps, 'policies' | 'clock' | 'partition'>,
): boolean {
  const resource = identityArn(deps.partition, owner);
  const about = { resource, ownerId: owner.accountId, resourceTags: resourceTagsOf(owner) };
  return evaluate(accessRequestOf({ ...asking, ...about, action: 'iam:GetAccessKeyLastUsed' }, deps)) === 'allowed';
}

/** AWS's one answer for a missing key, another account's key, and a key whose user the caller may not ask about. */
function deniedAccessKey({ caller }: Call, accessKeyId: string): QueryException {
  const what = `iam:GetAccessKeyLastUsed on resource: access key ${accessKeyId}`;
  return new QueryException('AccessDenied', `User: ${caller.arn} is not authorized to perform: ${what}`);
}

function findAccessKey({ accessKeys }: UserRecord, accessKeyId: string) {
  const missing = `The Access Key with id ${accessKeyId} cannot be found.`;
  return partOf(accessKeys, (key) => key.accessKeyId === accessKeyId, missing);
}

export const accessKeyOperations = [
  createAccessKey,
  updateAccessKey,
  deleteAccessKey,
  listAccessKeys,
  getAccessKeyLastUsed,
];
