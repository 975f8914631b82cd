import type { UserRecord } from '../iam-records.ts';
import { identityArn } from '../callers.ts';
import { newAccessKeyId } from '../ids.ts';
import { QueryException } from '../query-exception.ts';
import { defineIam } from '../query-operation.ts';
import { IAM_QUOTAS } from '../quotas.ts';
import { assertQuota, changeRecord } from './record-changes.ts';
import { AccessKeyId, paging, Status, UserName } from './fields.ts';
import { pageAnswer, pageOfAll } from './pages.ts';

const target = { kind: 'user', as: 'own' } as const;

/**
 * The secret is stored before the user has the key, and removed again before the user lets go of it: one alone is worth
 * nothing.
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
        SecretAccessKey: Buffer.from(secretAccessKey).toString('ascii'),
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

/** Throws NoSuchEntity. */
function findAccessKey({ accessKeys }: UserRecord, accessKeyId: string) {
  const found = accessKeys.find((key) => key.accessKeyId === accessKeyId);
  if (found) return found;
  throw new QueryException('NoSuchEntity', `The Access Key with id ${accessKeyId} cannot be found.`);
}

export const accessKeyOperations = [createAccessKey, updateAccessKey, deleteAccessKey, listAccessKeys];
