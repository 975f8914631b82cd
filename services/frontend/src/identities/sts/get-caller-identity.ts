import type { QueryOperation } from '../query-operation.ts';
import { z } from 'zod';

/** Asking who you are takes no permission. */
export const getCallerIdentity: QueryOperation = {
  service: 'sts',
  name: 'GetCallerIdentity',
  readOnly: true,
  target: undefined,
  input: z.object({}),
  run: async ({ call: { caller } }) => ({ Arn: caller.arn, UserId: caller.userId, Account: caller.accountId }),
};
