import { text } from '@keyfleet/shared/api/shape';
import { z } from 'zod';
import { defineAccountRead } from '../account-reads.ts';
import { AccessKeyId } from '../iam/fields.ts';
import { QueryException } from '../query-exception.ts';
import type { QueryOperation } from '../query-operation.ts';

/** Asking who you are takes no permission. */
export const getCallerIdentity: QueryOperation = {
  service: 'sts',
  name: 'GetCallerIdentity',
  readOnly: true,
  target: undefined,
  input: z.object({}),
  run: async ({ call: { caller } }) => ({ Arn: caller.arn, UserId: caller.userId, Account: caller.accountId }),
};

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

/** A denial says in plain words why, as those of KMS, IAM and STS do in AWS: there is never anything to decode. */
export const decodeAuthorizationMessage = defineAccountRead({
  service: 'sts',
  name: 'DecodeAuthorizationMessage',
  input: { EncodedMessage: text({ min: 1, max: 10_240 }) },
  async run() {
    throw new QueryException('InvalidAuthorizationMessageException', 'The encoded message is not valid.');
  },
});
