import { text } from '@keyfleet/shared/api/shape';
import { defineAccountRead } from '../account-reads.ts';
import { QueryException } from '../query-exception.ts';

/** A denial says in plain words why, as those of KMS, IAM and STS do in AWS: there is never anything to decode. */
export const decodeAuthorizationMessage = defineAccountRead({
  service: 'sts',
  name: 'DecodeAuthorizationMessage',
  input: { EncodedMessage: text({ min: 1, max: 10_240 }) },
  async run() {
    throw new QueryException('InvalidAuthorizationMessageException', 'The encoded message is not valid.');
  },
});
