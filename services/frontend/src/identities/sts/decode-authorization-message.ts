import { text } from '@keyfleet/shared/api/shape';
import { z } from 'zod';
import { authorizeIam } from '../access.ts';
import { QueryException } from '../query-exception.ts';
import type { Admitted, QueryOperation } from '../query-operation.ts';

/** A denial says in plain words why, as those of KMS, IAM and STS do in AWS: there is never anything to decode. */
export const decodeAuthorizationMessage: QueryOperation = {
  service: 'sts',
  name: 'DecodeAuthorizationMessage',
  readOnly: true,
  target: undefined,
  input: z.object({ EncodedMessage: text({ min: 1, max: 10_240 }) }),
  async run(admitted, deps) {
    const { input, call } = admitted as object as Admitted<{ readonly EncodedMessage: string }, 'user'>;
    const { accountId: ownerId } = call.caller;
    authorizeIam({ call, input, action: 'sts:DecodeAuthorizationMessage', resource: '*', ownerId }, deps);
    throw new QueryException('InvalidAuthorizationMessageException', 'The encoded message is not valid.');
  },
};
