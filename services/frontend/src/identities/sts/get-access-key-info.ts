import { defineAccountRead } from '../account-reads.ts';
import { AccessKeyId } from '../iam/fields.ts';
import { QueryException } from '../query-exception.ts';

/**
 * The account of an access key, whoever has it. Temporary credentials are kept nowhere, so only those that signed the
 * request are known.
 */
export const getAccessKeyInfo = defineAccountRead({
  service: 'sts',
  name: 'GetAccessKeyInfo',
  input: { AccessKeyId },
  async run({ input: { AccessKeyId: accessKeyId }, call }, deps) {
    const { accountId, accessKeyId: own } = call.caller;
    if (accessKeyId === own) return { Account: accountId };
    const found = await deps.accessKeys.findAccessKey(accessKeyId);
    if (found === undefined)
      throw new QueryException('ValidationError', `The access key ${accessKeyId} does not exist.`);
    return { Account: found.accountId };
  },
});
