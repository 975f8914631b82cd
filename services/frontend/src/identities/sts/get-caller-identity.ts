import type { QueryOperation } from '../query-operation.ts';
import { z } from 'zod';

/** Nobody need be allowed to ask who they are. */
export const getCallerIdentity: QueryOperation = {
  service: 'sts',
  name: 'GetCallerIdentity',
  readOnly: true,
  target: undefined,
  input: z.object({}),
  run: async ({ call: { caller } }) => ({ Arn: caller.arn, UserId: caller.userId, Account: caller.accountId }),
};
