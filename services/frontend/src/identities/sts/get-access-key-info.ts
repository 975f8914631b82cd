import { z } from 'zod';
import { authorizeIam } from '../access.ts';
import { AccessKeyId } from '../iam/fields.ts';
import { QueryException } from '../query-exception.ts';
import type { Admitted, QueryOperation } from '../query-operation.ts';

/**
 * The account of an access key, whoever has it. Temporary credentials are kept nowhere, so only those that signed the
 * request are known.
 */
export const getAccessKeyInfo: QueryOperation = {
  service: 'sts',
  name: 'GetAccessKeyInfo',
  readOnly: true,
  target: undefined,
  input: z.object({ AccessKeyId }),
  async run(admitted, deps) {
    const { input, call } = admitted as object as Admitted<{ readonly AccessKeyId: string }, 'user'>;
    const { accountId, accessKeyId: own } = call.caller;
    authorizeIam({ call, input, action: 'sts:GetAccessKeyInfo', resource: '*', ownerId: accountId }, deps);
    const { AccessKeyId: accessKeyId } = input;
    if (accessKeyId === own) return { Account: accountId };
    const found = await deps.accessKeys.findAccessKey(accessKeyId);
    if (found === undefined)
      throw new QueryException('ValidationError', `The access key ${accessKeyId} does not exist.`);
    return { Account: found.accountId };
  },
};
